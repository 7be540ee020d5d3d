/**
 * Makers of metrics: prom-client's objects that belong to no registry yet, so that whole groups can be declared as
 * class fields and enter or leave the exposition together.
 *
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** A counter. Without labels it shows 0 from the start, with labels a series appears when it is first counted. */
export function counter<Label extends string = never>(
  name: string,
  help: string,
  labelNames: readonly Label[] = [],
): Counter<Label> {
  return new Counter({ name, help, labelNames, registers: [] });
}

/** A gauge; series appear as with {@link counter}. `collect` runs at each scrape, before the gauge is read. */
export function gauge<Label extends string = never>(
  name: string,
  help: string,
  labelNames: readonly Label[] = [],
  collect: (gauge: Gauge<Label>) => void = () => {},
): Gauge<Label> {
  return new Gauge({
    name,
    help,
    labelNames,
    registers: [],
    collect() {
      collect(this);
    },
  });
}

/** A histogram with the given upper bounds, in the metric's unit. */
export function histogram<Label extends string = never>(
  name: string,
  help: string,
  buckets: readonly number[],
  labelNames: readonly Label[],
): Histogram<Label> {
  return new Histogram({ name, help, labelNames, buckets: [...buckets], registers: [] });
}

/** A registry with every metric that is a field of `group`, in the order of the fields. */
export function registryOf(group: object): Registry {
  const registry = new Registry();
  for (const field of Object.values(group)) {
    if (field instanceof Counter || field instanceof Gauge || field instanceof Histogram) {
      registry.registerMetric(field);
    }
  }
  return registry;
}

/**
 * The exposition of several registries in one text, as Prometheus reads it (format 0.0.4). No name may be in two.
 *
 * @throws whatever a metric that is read at the scrape rejects with
 */
export async function exposition(registries: readonly Registry[]): Promise<string> {
  const texts = await Promise.all(registries.map((registry) => registry.metrics()));
  // A registry without metrics gives an empty line.
  return texts.filter((text) => text.trim() !== "").join("\n");
}
