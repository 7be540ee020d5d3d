/**
 * Interfaces and addresses that come and go, as the kernel reports them.
 *
 * @module
 */
import type { KernelError } from "../netlink/kernel-error.ts";
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
export function watchRoutes({ onEvent, onLost, onError }: RouteWatchers): Disposable {
  const groups = [routeGroups.link, routeGroups.ipv4Address, routeGroups.ipv6Address];
  return subscribe(
    { protocol: "route", groups },
    {
      onMessage: (message) => {
        const event = decodeRouteEvent(message);
        if (event !== undefined) {
          onEvent(event);
        }
      },
      onLost,
      onError,
    },
  );
}
