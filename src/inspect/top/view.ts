/**
 * What the viewer of `top` has chosen to see, and what each key makes of that.
 *
 * Pure: from a view and a key comes the next view.
 *
 * @module
 */
import type { Key } from "./keys.ts";
import type { NodeLoad, ServiceLoad } from "./rate-meter.ts";

/** What Services can be sorted by. */
export type SortKey = "new" | "active" | "bytes" | "skew" | "name";

/** The viewer's choices. */
export interface View {
  readonly sort: SortKey;
  readonly isReversed: boolean;
  /** Only Services whose name or frontends contain this text. */
  readonly filter: string;
  /** Whether keys are taken for the filter. */
  readonly isTyping: boolean;
  /** Whether what is shown stays as it is. */
  readonly isFrozen: boolean;
  /** The marked line. */
  readonly selected: number;
  /** The first line that is shown. */
  readonly offset: number;
  /** Name of the Service whose endpoints are shown. */
  readonly opened: string | undefined;
}

/** The choices at the beginning. */
export const firstView: View = {
  sort: "new",
  isReversed: false,
  filter: "",
  isTyping: false,
  isFrozen: false,
  selected: 0,
  offset: 0,
  opened: undefined,
};

const sortKeys: Readonly<Record<string, SortKey>> = {
  c: "new",
  a: "active",
  b: "bytes",
  s: "skew",
  n: "name",
};

const values: Readonly<Record<Exclude<SortKey, "name">, (service: ServiceLoad) => number>> = {
  new: ({ newPerSecond = -1 }) => newPerSecond,
  active: ({ active = -1 }) => active,
  bytes: ({ bytesPerSecond = -1 }) => bytesPerSecond,
  skew: ({ skew = -1 }) => skew,
};

/** Services in the order and selection of the view. Equal ones go by name, so that lines do not dance. */
export function listed({ services }: NodeLoad, { sort, isReversed, filter }: View): readonly ServiceLoad[] {
  const wanted = filter.toLowerCase();
  const matching =
    wanted === ""
      ? [...services]
      : services.filter(({ name, frontends }) =>
          [name, ...frontends].some((text) => text.toLowerCase().includes(wanted)),
        );
  const value = sort === "name" ? undefined : values[sort];
  const direction = isReversed ? -1 : 1;
  return matching.sort((a, b) => {
    const difference = value === undefined ? 0 : value(b) - value(a);
    return direction * (difference === 0 ? compareText(a.name, b.name) : difference);
  });
}

function compareText(a: string, b: string): number {
  if (a === b) {
    return 0;
  }
  return a < b ? -1 : 1;
}

/** What a key leads to. */
export type Step = { readonly view: View } | "quit";

/**
 * What a key does.
 *
 * @param services - as listed now
 * @param lines - how many fit on the screen
 */
export function press(view: View, key: Key, services: readonly ServiceLoad[], lines: number): Step {
  if (key === "interrupt") {
    return "quit";
  }
  if (view.isTyping) {
    return { view: type(view, key) };
  }
  if (key === "q") {
    return "quit";
  }
  const sort = sortKeys[key];
  if (sort !== undefined) {
    return { view: { ...view, sort, isReversed: false, selected: 0, offset: 0 } };
  }
  switch (key) {
    case "r":
      return { view: { ...view, isReversed: !view.isReversed } };
    case "f":
    case " ":
      return { view: { ...view, isFrozen: !view.isFrozen } };
    case "/":
      return { view: { ...view, isTyping: true, opened: undefined } };
    case "enter":
      return { view: { ...view, opened: view.opened ?? services[view.selected]?.name } };
    case "escape":
    case "backspace":
      return { view: view.opened === undefined ? { ...view, filter: "" } : { ...view, opened: undefined } };
    default:
      return { view: move(view, key, services.length, lines) };
  }
}

function type(view: View, key: Key): View {
  switch (key) {
    case "enter":
      return { ...view, isTyping: false };
    case "escape":
      return { ...view, isTyping: false, filter: "", selected: 0, offset: 0 };
    case "backspace":
      return { ...view, filter: view.filter.slice(0, -1), selected: 0, offset: 0 };
    default:
      return key.length === 1 ? { ...view, filter: view.filter + key, selected: 0, offset: 0 } : view;
  }
}

function move(view: View, key: Key, count: number, lines: number): View {
  const steps: Readonly<Record<string, number>> = {
    up: -1,
    down: 1,
    "page-up": -lines,
    "page-down": lines,
    home: -count,
    end: count,
  };
  return fitted({ ...view, selected: view.selected + (steps[key] ?? 0) }, count, lines);
}

/** The view with its marked line among those that there are, and on the screen. */
export function fitted(view: View, count: number, lines: number): View {
  const selected = Math.max(0, Math.min(view.selected, count - 1));
  const most = Math.max(0, count - lines);
  const offset = Math.max(0, Math.min(Math.max(view.offset, selected - lines + 1), selected, most));
  return { ...view, selected, offset };
}
