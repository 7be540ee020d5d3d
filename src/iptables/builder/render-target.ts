/**
 * Renders targets: ` -j NAME …`, options in the order of iptables-save.
 *
 * @module
 */
import { splitHostPort } from "./address.ts";
import { checkCount, renderMark, renderRange, renderSet } from "./render-module.ts";
import { type DnatTarget, type RejectTarget, rejectReasons, type SetTarget, type Target } from "./rule.ts";
import { checkChainName, checkRawText } from "./text.ts";

/**
 * The target with a leading blank.
 *
 * @throws {RangeError} when a name or number cannot be written; the message names the field.
 */
export function renderTarget(target: Target): string {
  switch (target.kind) {
    case "accept":
      return " -j ACCEPT";
    case "drop":
      return " -j DROP";
    case "return":
      return " -j RETURN";
    case "jump":
      return ` -j ${checkChainName(target.chain)}`;
    case "goto":
      return ` -g ${checkChainName(target.chain)}`;
    case "reject":
      return ` -j REJECT --reject-with ${checkReason(target)}`;
    case "mark":
      return ` -j MARK --set-xmark ${renderMark(target.value)}/${renderMark(target.mask)}`;
    case "masquerade": {
      const ports = target.ports === undefined ? "" : ` --to-ports ${renderRange(target.ports, "-")}`;
      return ` -j MASQUERADE${ports}${target.randomFully === true ? " --random-fully" : ""}`;
    }
    case "dnat":
      return ` -j DNAT --to-destination ${checkDestination(target)}`;
    case "set":
      return renderSetTarget(target);
    case "raw":
      return ` -j ${checkRawText("raw target", target.text)}`;
  }
}

function checkReason(target: RejectTarget): string {
  if (!rejectReasons.includes(target.reason)) {
    throw new RangeError(`Cannot render REJECT with ${JSON.stringify(target.reason)}: no known answer`);
  }
  return target.reason;
}

const ipv4Destination = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?$/;

function checkDestination(target: DnatTarget): string {
  if (!ipv4Destination.test(target.to) && splitHostPort(target.to) === undefined) {
    throw new RangeError(
      `Cannot render DNAT to ${JSON.stringify(target.to)}: not address, address:port or [address]:port`,
    );
  }
  return target.to;
}

function renderSetTarget(target: SetTarget): string {
  const adds = target.operation === "add";
  if (!adds && (target.exist === true || target.timeoutSeconds !== undefined)) {
    throw new RangeError(`Cannot render SET on ${target.set}: exist and timeout go with add only`);
  }
  let text = ` -j SET ${adds ? "--add-set" : "--del-set"} ${renderSet(target)}`;
  if (target.exist === true) {
    text += " --exist";
  }
  if (target.timeoutSeconds !== undefined) {
    text += ` --timeout ${checkCount("set timeout", target.timeoutSeconds)}`;
  }
  return text;
}
