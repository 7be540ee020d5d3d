/**
 * Interfaces and addresses that come and go, as the kernel reports them.
 *
 * @module
 */
import { isKernelError, type KernelError } from "../netlink/kernel-error.ts";
import type { NetlinkMessage } from "../netlink/message.ts";
import { subscribe } from "../netlink/notifications.ts";
import { decodeRouteEvent, type RouteEvent, routeGroups } from "../netlink/route-event.ts";

/** Who is told. */
export interface RouteWatchers {
  readonly onEvent: (event: RouteEvent) => void;
  /** Events were lost: read the state again. */
  readonly onLost: () => void;
  /** No more events come. */
  readonly onError: (error: KernelError) => void;
}

/**
 * Watches the network namespace of the calling thread until disposed of.
 *
 * @throws {KernelError} Not permitted.
 */
export function watchRoutes(watchers: RouteWatchers): Disposable {
  const groups = [routeGroups.link, routeGroups.ipv4Address, routeGroups.ipv6Address];
  const { onLost, onError } = watchers;
  return subscribe(
    { protocol: "route", groups },
    { onMessage: (message) => tellOfRoute(message, watchers), onLost, onError },
  );
}

/** Tells what a notification says. One that does not decode is one that was lost. */
export function tellOfRoute(
  message: NetlinkMessage,
  { onEvent, onLost }: Pick<RouteWatchers, "onEvent" | "onLost">,
): void {
  let event: RouteEvent | undefined;
  try {
    event = decodeRouteEvent(message);
  } catch (error) {
    if (!isKernelError(error, "truncated")) {
      throw error;
    }
    onLost();
  }
  if (event !== undefined) {
    onEvent(event);
  }
}
