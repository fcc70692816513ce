/** The order of events, within this process and between processes that share a store. */

const CLOCK = Symbol.for("tollkeeper-x402/clock/1");
const holder = globalThis as { [CLOCK]?: { last: number } };
const clock = (holder[CLOCK] ??= { last: 0 });

/** Unix milliseconds, larger at each call: what comes later in this process is never taken to be of the same time. */
export function tick(): number {
  const now = Date.now();
  clock.last = now > clock.last ? now : clock.last + 0.001;
  return clock.last;
}
