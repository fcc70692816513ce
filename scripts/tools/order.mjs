// Puts a module's functions in an order in which gzip finds the repetitions.
//
// gzip looks back 32 KiB. A Rust canister holds many copies of nearly the same function, one for each type it
// was made for, and the linker scatters them over megabytes. Here each function is followed by the one that
// shares most byte sequences with it, estimated with MinHash: same input, same order, on every machine.

/** So many hash functions: more find closer neighbours and take longer. */
const HASHES = 400;
/** Length of the byte sequences that are compared. */
const SHINGLE = 4;

/** The module with names that sort its functions in the new order, for binaryen's `reorder-functions-by-name`. */
export function namedInOrder(wasm) {
  const { sections, imported, bodies } = parse(wasm);
  const names = bodies.map(() => "");
  order(bodies.map(([start, end]) => wasm.subarray(start, end))).forEach((index, position) => {
    names[index] = String(position).padStart(6, "0");
  });
  const map = names.flatMap((name, index) => [...leb(imported + index), ...text(name)]);
  const functionNames = [...leb(names.length), ...map];
  const section = [...text("name"), 1, ...leb(functionNames.length), ...functionNames];
  const isNames = ({ id, name }) => id === 0 && name === "name";
  const kept = sections.filter((part) => !isNames(part)).map(({ start, end }) => wasm.subarray(start, end));
  return Buffer.concat([wasm.subarray(0, 8), ...kept, Buffer.from([0, ...leb(section.length), ...section])]);
}

/** The indices of the bodies, each followed by the body most like it that is left; the first one stays first. */
function order(bodies) {
  const signatures = bodies.map(signature);
  const left = bodies.map((_, index) => index).slice(1);
  const ordered = [0];
  while (left.length > 0) {
    const current = ordered.at(-1);
    let best = { place: 0, shared: -1, difference: 0 };
    left.forEach((candidate, place) => {
      const shared = agreements(signatures[current], signatures[candidate]);
      const difference = Math.abs(bodies[current].length - bodies[candidate].length);
      if (shared > best.shared || (shared === best.shared && difference < best.difference)) {
        best = { place, shared, difference };
      }
    });
    ordered.push(left[best.place]);
    left[best.place] = left.at(-1);
    left.pop();
  }
  return ordered;
}

/** For each hash function the least hash of any shingle: the share of equal ones estimates likeness. */
function signature(body) {
  const least = new Uint32Array(HASHES).fill(0xffffffff);
  for (let at = 0; at + SHINGLE <= body.length; at++) {
    const shingle = mix(body.readUInt32LE(at) ^ 0x811c9dc5);
    for (let i = 0; i < HASHES; i++) {
      const hash = mix(shingle + Math.imul(i + 1, 0x9e3779b9)) >>> 0;
      if (hash < least[i]) least[i] = hash;
    }
  }
  return least;
}

function mix(number) {
  number = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  number = Math.imul(number ^ (number >>> 13), 0xc2b2ae35);
  return number ^ (number >>> 16);
}

function agreements(a, b) {
  let count = 0;
  for (let i = 0; i < HASHES; i++) if (a[i] === b[i]) count++;
  return count;
}

/** Where the sections and the function bodies are, and how many functions are imported. */
function parse(wasm) {
  let at = 8;
  const number = () => {
    let [value, shift, byte] = [0, 0, 0];
    do {
      byte = wasm[at++];
      value += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    } while (byte > 0x7f);
    return value;
  };
  const name = () => {
    const length = number();
    at += length;
    return wasm.toString("utf8", at - length, at);
  };
  const sections = [];
  const bodies = [];
  let imported = 0;
  while (at < wasm.length) {
    const start = at;
    const id = wasm[at++];
    const end = number() + at;
    sections.push({ id, start, end, name: id === 0 ? name() : "" });
    if (id === 2) {
      for (let left = number(); left > 0; left--) {
        const what = `${name()}.${name()}`;
        if (wasm[at++] !== 0) throw new Error(`${what} is no function; only functions may be imported`);
        number();
        imported++;
      }
    } else if (id === 10) {
      for (let left = number(); left > 0; left--) {
        const length = number();
        bodies.push([at, at + length]);
        at += length;
      }
    }
    at = end;
  }
  return { sections, imported, bodies };
}

/** An unsigned number in LEB128. */
function leb(number) {
  const bytes = [];
  for (; number > 0x7f; number = Math.floor(number / 128)) bytes.push((number % 128) | 0x80);
  return [...bytes, number];
}

function text(text) {
  const bytes = Buffer.from(text);
  return [...leb(bytes.length), ...bytes];
}
