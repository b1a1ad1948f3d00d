// What a codec finds around it, and the one function that calls it. Evaluates to `prepare`.
//
// Codecs are strangers' files. Everything that is used here after a codec has run was captured
// before, so that it cannot have been replaced.
(function () {
  "use strict";

  // A codec may hide what it finds by that name on the global object.
  const world = globalThis;
  const { Array, ArrayBuffer, DataView, Error, JSON, Math, Number, Object, RangeError, Reflect, String, TypeError, Uint8Array } = world;
  const {
    apply, defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, isExtensible, ownKeys,
    setPrototypeOf,
  } = Reflect;
  const { freeze, is, prototype: plain } = Object;
  const { isArray } = Array;
  const { stringify, parse } = JSON;
  const { min, trunc } = Math;
  const D = Date, S = String, N = Number, E = Error, B = BigInt;
  const uncurry = (method) => (self, ...args) => apply(method, self, args);
  const slice = uncurry(S.prototype.slice);
  const includes = uncurry(S.prototype.includes), rawIncludes = S.prototype.includes, NULL = ["null"];
  const charCode = uncurry(S.prototype.charCodeAt);
  const joinAll = uncurry(Array.prototype.join);
  const has = uncurry(Set.prototype.has);

  const MAX_LIST = 100000; // elements that the engine's uninterruptible loops may run over
  const MAX_TEXT = 65536; // characters, likewise
  const MAX_RESULT = 65536; // characters of JSON that leave the engine: 100 times a rich payload's
  const MAX_MESSAGE = 300;
  const MAX_MESSAGES = 16;
  const MAX_DOWN = 242; // bytes of the longest downlink

  const hide = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });

  // --- Loops inside the engine that its clock does not interrupt ---

  // A list as a real array of bounded length: methods are lent to arguments, strings and typed arrays too.
  const asList = (thing) => {
    if (isArray(thing)) {
      if (thing.length <= MAX_LIST) return thing;
    } else {
      const length = trunc(N(thing.length)) || 0;
      if (length <= MAX_LIST) {
        const list = [];
        for (let i = 0; i < length; i++) if (i in Object(thing)) list[i] = thing[i];
        if (length > list.length) list.length = length;
        return list;
      }
    }
    throw new RangeError(`a list of ${thing.length} elements is too long`);
  };
  const ownList = (thing) => {
    if (!isArray(thing)) throw new TypeError("not an array");
    return asList(thing);
  };
  const flatten = (list, depth, into) => {
    const source = asList(list);
    for (let i = 0; i < source.length; i++) {
      if (!(i in source)) continue;
      if (depth > 0 && isArray(source[i])) flatten(source[i], depth - 1, into);
      else into[into.length] = source[i];
    }
    return into;
  };
  for (const name of ["join", "slice"]) {
    const method = Array.prototype[name];
    hide(Array.prototype, name, { [name](...args) { return apply(method, asList(this), args); } }[name]);
  }
  for (const name of ["reverse", "sort", "splice", "shift", "unshift", "copyWithin"]) {
    const method = Array.prototype[name];
    hide(Array.prototype, name, { [name](...args) { return apply(method, ownList(this), args); } }[name]);
  }
  const lists = {
    concat(...others) {
      const all = [];
      for (const part of [this, ...others]) {
        if (!isArray(part)) { all[all.length] = part; continue; }
        const list = asList(part), start = all.length;
        for (let i = 0; i < list.length; i++) if (i in list) all[start + i] = list[i];
        all.length = start + list.length;
      }
      return all;
    },
    flat(depth = 1) { return flatten(this, depth, []); },
    flatMap(each, self) { return flatten(asList(this).map(each, self), 1, []); },
    toLocaleString() { return asList(this).join(","); },
  };
  for (const name of ownKeys(lists)) hide(Array.prototype, name, lists[name]);
  hide(String, "raw", { raw(strings, ...args) {
    const parts = asList(strings.raw);
    let text = "";
    for (let i = 0; i < parts.length; i++) text += S(parts[i]) + (i + 1 < parts.length && i < args.length ? S(args[i]) : "");
    return text;
  } }.raw);
  for (const name of ["indexOf", "lastIndexOf", "includes", "split", "replace", "replaceAll"]) {
    const method = String.prototype[name];
    hide(String.prototype, name, { [name](...args) {
      if (this == null) throw new TypeError(`${name} of ${this}`);
      const text = typeof this === "string" ? this : S(this);
      if (text.length > MAX_TEXT) throw new RangeError(`a text of ${text.length} characters is too long`);
      return apply(method, text, args);
    } }[name]);
  }
  const SET_METHODS = ["union", "intersection", "difference", "symmetricDifference", "isSubsetOf", "isSupersetOf",
    "isDisjointFrom"];
  for (const name of SET_METHODS) delete Set.prototype[name];

  // What would outlive a call, block, or make every look at a value run the codec's code.
  for (const name of ["Proxy", "WeakRef", "FinalizationRegistry", "SharedArrayBuffer", "Atomics", "gc"]) {
    delete globalThis[name];
  }

  // --- What the engine reads when it turns its own errors into text, beyond the time limit ---

  const ERRORS = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError,
    globalThis.InternalError].filter(Boolean);
  // Assigning to an object what its frozen prototype has must work: class MyError { this.name = … }.
  const yieldToOwn = (proto, key) => {
    const { value } = getOwnPropertyDescriptor(proto, key);
    defineProperty(proto, key, {
      get: () => value,
      set(own) {
        if (this === proto) return; // as silent as a frozen property in ordinary code
        defineProperty(this, key, { value: own, writable: true, enumerable: true, configurable: true });
      },
      enumerable: false,
      configurable: true,
    });
  };
  Error.stackTraceLimit = 10;
  // The engine keeps these two beside the object that is frozen.
  for (const [name, value] of [["stackTraceLimit", 10], ["prepareStackTrace", undefined]]) {
    defineProperty(Error, name, { get: () => value, set() {}, enumerable: false, configurable: true });
  }
  for (const error of ERRORS) {
    for (const key of ["name", "message", "toString", "constructor"]) {
      if (getOwnPropertyDescriptor(error.prototype, key)) yieldToOwn(error.prototype, key);
    }
    defineProperty(error.prototype, Symbol.toPrimitive, { value: undefined });
    freeze(error.prototype);
    freeze(error);
  }

  // --- Texts for people, which Node writes in US English whatever it is asked for without a locale ---

  // A number in groups of three digits. Source: ECMA-402, Intl.NumberFormat, its four options for digits.
  const grouped = (number, { minimumIntegerDigits = 1, minimumFractionDigits = 0, maximumFractionDigits, useGrouping } = {}) => {
    if (number !== number) return "NaN";
    const size = Math.abs(number), sign = number < 0 || is(number, -0) ? "-" : "";
    if (size === Infinity) return `${sign}∞`;
    const most = maximumFractionDigits ?? Math.max(3, minimumFractionDigits);
    const [whole, rest = ""] = (includes(S(size), "e") ? size < 1 ? "0" : S(B(size)) : S(size)).split(".");
    const digits = S(B(whole + rest.slice(0, most).padEnd(most, "0")) + (rest[most] >= "5" ? 1n : 0n)).padStart(most + 1, "0");
    const end = digits.length - most;
    let before = digits.slice(0, end).padStart(minimumIntegerDigits, "0"), after = digits.slice(end);
    while (after.length > minimumFractionDigits && after.endsWith("0")) after = after.slice(0, -1);
    if (useGrouping !== false) before = before.replace(/\B(?=(?:[0-9]{3})+$)/g, ",");
    return sign + before + (after ? `.${after}` : "");
  };
  hide(N.prototype, "toLocaleString", { toLocaleString(locale, options) { return grouped(N(this), options); } }.toLocaleString);
  const twoDigits = (number) => (number < 10 ? `0${number}` : S(number));
  const dateText = (date) => `${date.getMonth() + 1}/${date.getDate()}/${date.getFullYear()}`;
  const timeText = (date) => {
    const hour = date.getHours();
    return `${hour % 12 || 12}:${twoDigits(date.getMinutes())}:${twoDigits(date.getSeconds())} ${hour < 12 ? "AM" : "PM"}`;
  };
  const moments = {
    toLocaleString() { return `${dateText(this)}, ${timeText(this)}`; },
    toLocaleDateString() { return dateText(this); },
    toLocaleTimeString() { return timeText(this); },
  };
  for (const name of ownKeys(moments)) {
    hide(D.prototype, name, { [name]() { return N(this) === N(this) ? apply(moments[name], this, []) : "Invalid Date"; } }[name]);
  }

  // --- Host objects that published codecs use ---

  const silent = () => undefined;
  const console = {};
  for (const name of ["log", "info", "warn", "error", "debug", "trace", "assert", "dir", "table"]) console[name] = silent;
  hide(globalThis, "console", console);

  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const DIGITS = new Map([...ALPHABET].map((digit, value) => [digit, value]));
  DIGITS.set("-", 62).set("_", 63);
  const toBase64 = (bytes) => {
    let text = "";
    for (let i = 0; i < bytes.length; i += 3) {
      const bits = (bytes[i] << 16) | ((bytes[i + 1] || 0) << 8) | (bytes[i + 2] || 0);
      text += ALPHABET[bits >> 18] + ALPHABET[(bits >> 12) & 63];
      text += i + 1 < bytes.length ? ALPHABET[(bits >> 6) & 63] : "=";
      text += i + 2 < bytes.length ? ALPHABET[bits & 63] : "=";
    }
    return text;
  };
  const fromBase64 = (text) => {
    const bytes = [];
    let bits = 0, count = 0;
    for (const digit of text) {
      const value = DIGITS.get(digit);
      if (value === undefined) continue;
      bits = ((bits << 6) | value) & 0xffffff;
      count += 6;
      if (count >= 8) { count -= 8; bytes.push((bits >> count) & 255); }
    }
    return bytes;
  };
  const toLatin1 = (bytes, mask = 255) => {
    let text = "";
    for (let i = 0; i < bytes.length; i++) text += S.fromCharCode(bytes[i] & mask);
    return text;
  };
  const fromLatin1 = (text) => {
    const bytes = [];
    for (let i = 0; i < text.length; i++) bytes.push(charCode(text, i) & 255);
    return bytes;
  };
  const toUtf8 = (bytes) => { // as the Encoding Standard: U+FFFD for each part that is not UTF-8
    let text = "";
    for (let i = 0; i < bytes.length;) {
      const first = bytes[i++];
      if (first < 0x80) { text += S.fromCharCode(first); continue; }
      let more = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
      let point = more ? first & (0x3f >> more) : 0xfffd;
      let low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
      let high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
      for (; more; more--) {
        if (i >= bytes.length || bytes[i] < low || bytes[i] > high) { point = 0xfffd; break; }
        point = (point << 6) | (bytes[i++] & 0x3f);
        low = 0x80; high = 0xbf;
      }
      text += S.fromCodePoint(point);
    }
    return text;
  };
  const fromUtf8 = (text) => {
    const bytes = [];
    for (const character of text) {
      let point = character.codePointAt(0);
      if (point >= 0xd800 && point < 0xe000) point = 0xfffd;
      if (point < 0x80) bytes.push(point);
      else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
      else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
      else bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    }
    return bytes;
  };
  const toHex = (bytes) => {
    let text = "";
    for (let i = 0; i < bytes.length; i++) text += (bytes[i] < 16 ? "0" : "") + bytes[i].toString(16);
    return text;
  };
  const fromHex = (text) => {
    const bytes = [];
    for (let i = 0; i + 1 < text.length && /^[0-9a-f]{2}$/i.test(text.slice(i, i + 2)); i += 2) {
      bytes.push(parseInt(text.slice(i, i + 2), 16));
    }
    return bytes;
  };
  const fromUtf16 = (text) => {
    const bytes = [];
    for (let i = 0; i < text.length; i++) bytes.push(charCode(text, i) & 255, charCode(text, i) >> 8);
    return bytes;
  };
  const toUtf16 = (bytes) => {
    let text = "";
    for (let i = 0; i + 1 < bytes.length; i += 2) text += S.fromCharCode(bytes[i] | (bytes[i + 1] << 8));
    return text;
  };
  const ENCODINGS = {
    __proto__: null,
    hex: [toHex, fromHex], base64: [toBase64, fromBase64], utf8: [toUtf8, fromUtf8], latin1: [toLatin1, fromLatin1],
    ascii: [(bytes) => toLatin1(bytes, 127), fromLatin1], utf16le: [toUtf16, fromUtf16],
    base64url: [(bytes) => toBase64(bytes).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_", "=": "" })[c]), fromBase64],
  };
  ENCODINGS.binary = ENCODINGS.latin1;
  ENCODINGS["utf-8"] = ENCODINGS.utf8;
  ENCODINGS["us-ascii"] = ENCODINGS.ascii;
  ENCODINGS["iso-8859-1"] = ENCODINGS["windows-1252"] = ENCODINGS.latin1;
  ENCODINGS.ucs2 = ENCODINGS["utf-16le"] = ENCODINGS.utf16le;
  const encoding = (name = "utf8") => {
    const found = ENCODINGS[S(name).toLowerCase()];
    if (!found) throw new TypeError(`Unknown encoding: ${S(name)}`);
    return found;
  };

  hide(globalThis, "btoa", function btoa(text) {
    for (const character of S(text)) if (character.codePointAt(0) > 255) throw new TypeError("not Latin-1");
    return toBase64(fromLatin1(S(text)));
  });
  hide(globalThis, "atob", function atob(text) { return toLatin1(fromBase64(S(text))); });

  const bytesOf = (source) => (ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : new Uint8Array(source || 0));
  class TextDecoder {
    constructor(label = "utf-8") { hide(this, "encoding", S(label).toLowerCase()); encoding(this.encoding); }
    decode(source) {
      const text = encoding(this.encoding)[0](bytesOf(source));
      return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
    }
  }
  class TextEncoder {
    encode(text = "") { return new Uint8Array(fromUtf8(S(text))); }
  }
  hide(globalThis, "TextDecoder", TextDecoder);
  hide(globalThis, "TextEncoder", TextEncoder);

  // Node's Buffer, as far as decoders use it. Source: the Node.js documentation, section Buffer.
  class BufferClass extends Uint8Array {
    static from(source, from, length) {
      if (typeof source === "string") return new BufferClass(encoding(from)[1](source));
      if (source instanceof ArrayBuffer) return new BufferClass(source, from, length);
      if (source && source.type === "Buffer" && isArray(source.data)) return new BufferClass(source.data);
      if (source === null || typeof source !== "object") throw new TypeError("Buffer.from wants a text or a list");
      return new BufferClass(asList(source));
    }
    static alloc(size, fill, name) { const made = new BufferClass(size); return fill === undefined ? made : made.fill(fill, 0, size, name); }
    static allocUnsafe(size) { return new BufferClass(size); }
    static isBuffer(thing) { return thing instanceof BufferClass; }
    static isEncoding(name) { return S(name).toLowerCase() in ENCODINGS; }
    static byteLength(thing, name) { return typeof thing === "string" ? encoding(name)[1](thing).length : thing.byteLength; }
    static compare(a, b) {
      for (let i = 0; i < min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
      return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
    }
    static concat(parts, total) {
      const all = [];
      for (const part of parts) for (let i = 0; i < part.length; i++) all.push(part[i]);
      const made = new BufferClass(total === undefined ? all.length : total);
      made.set(all.slice(0, made.length));
      return made;
    }
    slice(start, end) { return this.subarray(start, end); }
    toString(name, start = 0, end = this.length) { return encoding(name)[0](this.subarray(start, end)); }
    toJSON() { return { type: "Buffer", data: [...this] }; }
    equals(other) { return BufferClass.compare(this, other) === 0; }
    compare(other) { return BufferClass.compare(this, other); }
    fill(value, start, end, name) {
      if (typeof value !== "string") return super.fill(value, start, end);
      const bytes = encoding(name)[1](value);
      for (let i = start || 0; i < (end ?? this.length) && bytes.length; i++) this[i] = bytes[(i - (start || 0)) % bytes.length];
      return this;
    }
    indexOf(value, start, name) {
      if (typeof value === "number") return super.indexOf(value & 255, start);
      const wanted = typeof value === "string" ? encoding(name)[1](value) : value;
      for (let i = start || 0; i + wanted.length <= this.length; i++) {
        let k = 0;
        while (k < wanted.length && this[i + k] === wanted[k]) k++;
        if (k === wanted.length) return i;
      }
      return -1;
    }
    includes(value, start, name) { return this.indexOf(value, start, name) >= 0; }
    copy(target, at = 0, start = 0, end = this.length) {
      const part = this.subarray(start, min(end, start + target.length - at));
      target.set(part, at);
      return part.length;
    }
    write(text, at = 0, length = this.length - at, name = "utf8") {
      if (typeof at === "string") [at, length, name] = [0, this.length, at];
      if (typeof length === "string") [length, name] = [this.length - at, length];
      const bytes = encoding(name)[1](text).slice(0, min(length, this.length - at));
      this.set(bytes, at);
      return bytes.length;
    }
    readUIntBE(at, size) { check(this, at, size); let n = 0; for (let i = 0; i < size; i++) n = n * 256 + this[at + i]; return n; }
    readUIntLE(at, size) { check(this, at, size); let n = 0; for (let i = size; i--;) n = n * 256 + this[at + i]; return n; }
    readIntBE(at, size) { return signed(this.readUIntBE(at, size), size); }
    readIntLE(at, size) { return signed(this.readUIntLE(at, size), size); }
    writeUIntBE(value, at, size) { check(this, at, size); for (let i = size; i--; value = Math.floor(value / 256)) this[at + i] = value % 256; return at + size; }
    writeUIntLE(value, at, size) { check(this, at, size); for (let i = 0; i < size; i++, value = Math.floor(value / 256)) this[at + i] = value % 256; return at + size; }
    writeIntBE(value, at, size) { return this.writeUIntBE(value < 0 ? value + 2 ** (8 * size) : value, at, size); }
    writeIntLE(value, at, size) { return this.writeUIntLE(value < 0 ? value + 2 ** (8 * size) : value, at, size); }
  }
  const check = (buffer, at, size) => {
    if (typeof at !== "number" || !(at >= 0 && at + size <= buffer.length) || trunc(at) !== at) {
      throw new RangeError(`offset ${S(at)} is outside of the ${buffer.length} bytes`);
    }
  };
  const signed = (value, size) => (value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value);
  const KINDS = [["Int8", 1], ["Uint8", 1], ["Int16", 2], ["Uint16", 2], ["Int32", 4], ["Uint32", 4], ["Float32", 4],
    ["Float64", 8], ["BigInt64", 8], ["BigUint64", 8]];
  for (const [kind, size] of KINDS) {
    const get = DataView.prototype[`get${kind}`], set = DataView.prototype[`set${kind}`];
    const name = kind.replace("Float32", "Float").replace("Float64", "Double");
    for (const order of size === 1 ? [""] : ["LE", "BE"]) {
      const read = function (at = 0) {
        check(this, at, size);
        return apply(get, new DataView(this.buffer, this.byteOffset + at, size), [0, order === "LE"]);
      };
      const write = function (value, at = 0) {
        check(this, at, size);
        apply(set, new DataView(this.buffer, this.byteOffset + at, size), [0, value, order === "LE"]);
        return at + size;
      };
      for (const spelling of [name, name.replace("Uint", "UInt")]) {
        hide(BufferClass.prototype, `read${spelling}${order}`, read);
        hide(BufferClass.prototype, `write${spelling}${order}`, write);
      }
    }
  }
  for (const order of ["LE", "BE"]) {
    hide(BufferClass.prototype, `readUint${order}`, BufferClass.prototype[`readUInt${order}`]);
    hide(BufferClass.prototype, `writeUint${order}`, BufferClass.prototype[`writeUInt${order}`]);
  }
  // Callable without `new`, as old code does: Buffer("00ff", "hex"), new Buffer(4).
  function Buffer(source, from, length) {
    return typeof source === "number" ? BufferClass.alloc(source) : BufferClass.from(source, from, length);
  }
  setPrototypeOf(Buffer, BufferClass);
  Buffer.prototype = BufferClass.prototype;
  hide(BufferClass.prototype, "constructor", Buffer);
  defineProperty(BufferClass, Symbol.species, { value: BufferClass });
  hide(globalThis, "Buffer", Buffer);
  hide(getPrototypeOf(Uint8Array.prototype), "toJSON", { toJSON() { return [...this]; } }.toJSON);

  const require = (name) => {
    if (name === "buffer" || name === "node:buffer") return { Buffer };
    if (name === "util" || name === "node:util") return { TextDecoder, TextEncoder };
    throw new E(`Cannot find module '${S(name)}'`);
  };

  // --- Every object that the language itself holds ---

  // Each with its path from the global object, where it has one.
  const iteratorsOfIterators = () => [[].values().map(silent), Iterator.from({ next: silent }),
    Iterator.concat && Iterator.concat([]), Iterator.zip && Iterator.zip([[]])].filter(Boolean).map((one) => getPrototypeOf(one));
  const intrinsics = () => {
    const found = new Map();
    const open = [];
    const add = (thing, path) => { open[open.length] = [thing, path]; };
    for (const thing of [getPrototypeOf(function* () {}), getPrototypeOf(async function () {}), getPrototypeOf(async function* () {}),
      getPrototypeOf([][Symbol.iterator]()), getPrototypeOf(""[Symbol.iterator]()), getPrototypeOf(new Map().entries()),
      getPrototypeOf(new Set().values()), getPrototypeOf("".matchAll(/./g)), ...iteratorsOfIterators(), require]) add(thing, null);
    for (const key of ownKeys(globalThis)) {
      const { value } = getOwnPropertyDescriptor(globalThis, key);
      if (value !== globalThis && typeof key === "string") add(value, [key]);
    }
    for (let i = 0; i < open.length; i++) {
      const [thing, path] = open[i];
      if (thing === null || (typeof thing !== "object" && typeof thing !== "function") || found.has(thing)) continue;
      found.set(thing, path);
      add(getPrototypeOf(thing), null);
      for (const key of ownKeys(thing)) {
        const { value, get, set } = getOwnPropertyDescriptor(thing, key);
        add(value, path && key === "prototype" ? [...path, key] : null);
        add(get, null);
        add(set, null);
      }
    }
    return found;
  };

  // Nothing of the language can be changed any more, and no code made from text: what a codec did
  // in one call cannot be seen in the next.
  // Only what the codec's own top level changes (`loose`: polyfills) stays changeable, and is put back after each call.
  const close = (loose) => {
    const refuse = function () { throw new TypeError("code from text is not allowed"); };
    for (const made of [function () {}, function* () {}, async function () {}, async function* () {}]) {
      hide(getPrototypeOf(made), "constructor", refuse);
    }
    for (const name of ["eval", "Function", "Promise", "queueMicrotask", "AsyncDisposableStack"]) {
      delete globalThis[name];
    }
    delete Array.fromAsync;
    for (const key of ["toString", "toLocaleString", "valueOf", "constructor", "hasOwnProperty", "isPrototypeOf",
      "propertyIsEnumerable"]) yieldToOwn(Object.prototype, key);
    yieldToOwn(getPrototypeOf(refuse), "toString");
    for (const was of loose) {
      was.thing = was.path.reduce((object, key) => object[key], globalThis);
      was.proto = getPrototypeOf(was.thing);
      was.own = was.keys.map((key) => getOwnPropertyDescriptor(was.thing, key));
      was.names = new Set(ownKeys(was.thing));
      was.count = was.names.size;
    }
    for (const thing of intrinsics().keys()) {
      const was = loose.find((one) => one.thing === thing);
      if (was) fix(thing, was.keys);
      else freeze(thing);
    }
    // What every world has is inherited: the global object's own are the few that a look after each call goes through.
    const inherited = { __proto__: getPrototypeOf(world) };
    for (const key of ownKeys(world)) {
      const found = getOwnPropertyDescriptor(world, key);
      if (found.configurable) {
        defineProperty(inherited, key, found);
        delete world[key];
      }
    }
    setPrototypeOf(world, freeze(inherited));
    return inherited;
  };
  const fix = (thing, except) => {
    for (const key of ownKeys(thing)) {
      const found = getOwnPropertyDescriptor(thing, key);
      if (!found.configurable || except.includes(key)) continue;
      defineProperty(thing, key, "value" in found ? { writable: false, configurable: false } : { configurable: false });
    }
  };
  // Takes away what a call left on an object; false when something stays.
  const sweep = (thing, names, count) => {
    const keys = ownKeys(thing);
    if (keys.length !== count) {
      for (let i = 0; i < keys.length; i++) if (!has(names, keys[i]) && !deleteProperty(thing, keys[i])) return false;
    }
    return true;
  };
  const putBack = (loose) => {
    for (let i = 0; i < loose.length; i++) {
      const { thing, proto, keys, own, names, count } = loose[i];
      for (let k = 0; k < keys.length; k++) {
        if (!(own[k] ? defineProperty(thing, keys[k], own[k]) : deleteProperty(thing, keys[k]))) return false;
      }
      if (getPrototypeOf(thing) !== proto || !sweep(thing, names, count)) return false;
    }
    return true;
  };

  // --- One call ---

  const shorten = (text) => (text.length > MAX_MESSAGE ? slice(text, 0, MAX_MESSAGE) : text);
  const describe = (thing) => {
    try {
      if (typeof thing === "object" && thing !== null && !(thing instanceof E)) return shorten(stringify(thing) || S(thing));
      return shorten(S(thing));
    } catch {
      return `a ${typeof thing} that has no text`;
    }
  };
  const describeAll = (things) => {
    if (!things) return [];
    if (!isArray(things)) return [describe(things)];
    const texts = [];
    for (let i = 0; i < things.length && i < MAX_MESSAGES; i++) texts[i] = describe(things[i]);
    return texts;
  };
  // JSON of what JSON cannot say; `lost` collects what was left out and where.
  const stringifyAnything = (data, lost) =>
    stringify(data, function (key, value) {
      if (typeof value === "number" && !(value - value === 0)) {
        if (lost.length < MAX_MESSAGES) lost[lost.length] = `${shorten(key) || "the value"} is ${value}`;
        return null;
      }
      if (typeof value === "bigint") return B.asIntN(64, value) === value ? N(value) : S(value);
      return value;
    });
  const toJson = (data, lost) => {
    try {
      const text = stringify(data);
      if (text === undefined || !apply(rawIncludes, text, NULL)) return text;
    } catch (error) {
      if (!includes(describe(error), "BigInt") && !includes(describe(error), "bigint")) throw error;
    }
    return stringifyAnything(data, lost);
  };
  // Which of the codec's own values each normalised one comes from: every value is changed in turn.
  const MAX_TRIALS = 1 << 16; // characters of JSON that are read for it: 30 ms on the smallest boards
  const MAX_DEPTH = 10;
  const leavesOf = (thing, path, found) => {
    if (typeof thing !== "object") {
      found[found.length] = [path, thing];
    } else if (thing !== null && path.length < MAX_DEPTH) {
      const keys = ownKeys(thing);
      for (let i = 0; i < keys.length; i++) {
        if (isArray(thing) && keys[i] === "length") continue;
        const inner = [];
        for (let k = 0; k < path.length; k++) inner[k] = path[k];
        inner[path.length] = isArray(thing) ? N(keys[i]) : keys[i];
        leavesOf(thing[keys[i]], inner, found);
      }
    }
    return found;
  };
  const withChange = (text, path, value) => {
    const whole = parse(text);
    let thing = whole;
    for (let i = 0; i < path.length - 1; i++) thing = thing[path[i]];
    thing[path[path.length - 1]] = value;
    return whole;
  };
  // Two other values: the second is for what vanishes with the first, as beyond a limit.
  const othersOf = (value) => {
    if (typeof value === "boolean") return [!value];
    const number = value === "" ? NaN : N(value);
    if (number - number !== 0) return [`${value}x`];
    const others = [number === -1 ? -1.5 : number + 1, number === 1 ? 0.5 : number - 1];
    return typeof value === "number" ? others : [S(others[0]), S(others[1])];
  };
  // [path, before, after] of each leaf that differs, null where it is not there.
  const effectsOf = (before, after) => {
    const old = { __proto__: null }, effects = [];
    for (let i = 0; i < before.length; i++) old[stringify(before[i][0])] = before[i];
    for (let i = 0; i < after.length; i++) {
      const key = stringify(after[i][0]), was = old[key];
      deleteProperty(old, key);
      if (!was || was[1] !== after[i][1]) effects[effects.length] = [after[i][0], was ? was[1] : null, after[i][1]];
    }
    const gone = ownKeys(old);
    for (let i = 0; i < gone.length; i++) effects[effects.length] = [old[gone[i]][0], old[gone[i]][1], null];
    return effects;
  };
  const nothingGone = (effects) => {
    for (let i = 0; i < effects.length; i++) if (effects[i][2] === null) return false;
    return true;
  };
  const trialsOf = (text, normalized, normalize) => {
    const own = leavesOf(parse(text), [], []), trials = [];
    if (own.length * text.length > MAX_TRIALS) return trials;
    const before = leavesOf(parse(normalized), [], []);
    const effectsWith = (path, other) => {
      const changed = normalize(withChange(text, path, other));
      const made = changed == null ? "null" : toJson(changed, []) || "null";
      return made === normalized ? [] : effectsOf(before, leavesOf(parse(made), [], []));
    };
    for (let i = 0; i < own.length; i++) {
      const [path, value] = own[i], others = othersOf(value);
      let trial;
      for (let k = 0, effects = []; k < others.length; k++) {
        try {
          effects = effectsWith(path, others[k]);
        } catch {
          continue;
        }
        if (effects.length && (!trial || nothingGone(effects))) trial = [path, value, others[k], effects];
        if (nothingGone(effects)) break;
      }
      if (trial) trials[trials.length] = trial;
    }
    return trials;
  };
  // What has more to say than data begins with a blank, which no JSON of `stringify` does.
  const told = (thing) => joinAll([" ", stringify(thing)], "");
  // A payload that a codec gives nothing for by mistake is kept, as one that it throws over.
  const failed = (crash) => told({ crash });
  const PROMISE = "a promise; the function must not be async";
  const isPromise = (thing) => typeof thing.then === "function";
  const isEmpty = (thing) => ownKeys(thing).length === 0 && (getPrototypeOf(thing) === plain || getPrototypeOf(thing) === null);
  const saysNoMore = (found) => {
    const keys = ownKeys(found);
    for (let i = 0; i < keys.length; i++) if (keys[i] !== "data" && keys[i] !== "warnings" && keys[i] !== "errors") return false;
    return true;
  };
  const withoutData = (found) => (isPromise(found) ? `decodeUplink returned an object without data: ${PROMISE}`
    : "the codec returned an object without data; write the values as { data: { temperature: 22.5 } }, or { data: {} } for none");
  const answer = (entries, bytes, fPort, timeMs, variables) => {
    const decodeUplink = entries[0], normalizeUplink = entries[1], Decode = entries[2], Decoder = entries[3];
    let data, normalized = "null", trials = "", warnings = [], errors = [];
    if (decodeUplink) {
      const found = decodeUplink({ bytes, fPort, recvTime: new D(timeMs), variables });
      if (found === null || typeof found !== "object") {
        return failed(`decodeUplink returned ${describe(found)}; it must return the values as { data: { temperature: 22.5 } }, or { data: {} } for none`);
      }
      errors = describeAll(found.errors);
      warnings = describeAll(found.warnings);
      data = found.data;
      if (data == null && !errors.length && !(warnings.length && saysNoMore(found))) return failed(withoutData(found));
    } else {
      data = Decode ? Decode(fPort, bytes, variables) : Decoder(bytes, fPort);
      if (data == null) return failed(`${Decode ? "Decode" : "Decoder"} returned ${describe(data)}; it must return the values as { temperature: 22.5 }, or {} for none`);
    }
    if (errors.length) return told({ errors, warnings });
    const lost = [];
    const text = data == null ? "null" : toJson(data, lost);
    if (text === undefined) return failed(`the codec returned a ${typeof data}`); // or a symbol
    if (text === "{}" && !isEmpty(data)) return failed(isPromise(data) ? `the codec returned ${PROMISE}` : "what the codec returned is undefined");
    if (normalizeUplink && text !== "null") {
      try {
        const normalize = (own) => normalizeUplink({ data: own, fPort, recvTime: new D(timeMs), variables });
        const found = normalize(parse(text));
        const faults = found ? describeAll(found.errors) : [];
        for (const said of [...faults, ...(found ? describeAll(found.warnings) : [])]) {
          warnings[warnings.length] = `normalizeUplink: ${said}`;
        }
        if (found && found.data != null && !faults.length) {
          normalized = toJson(found.data, lost) || "null";
          trials = stringify(trialsOf(text, normalized, (own) => { const made = normalize(own); return made && made.data; }));
        }
      } catch (error) {
        warnings[warnings.length] = `normalizeUplink: ${describe(error)}`;
      }
    }
    if (normalized === "null" && !warnings.length && !lost.length && text.length <= MAX_RESULT) return text;
    if (text.length + normalized.length > MAX_RESULT) {
      return ` {"crash":"the result has ${text.length + normalized.length} characters of JSON, want at most ${MAX_RESULT}"}`;
    }
    const parts = [' {"data":', text, ',"normalized":', normalized];
    if (trials && text.length + normalized.length + trials.length <= MAX_RESULT) {
      parts[parts.length] = ',"trials":';
      parts[parts.length] = trials;
    }
    if (warnings.length) parts[parts.length] = `,"warnings":${stringify(warnings)}`;
    if (lost.length) parts[parts.length] = `,"lost":${stringify(lost)}`;
    parts[parts.length] = "}";
    return joinAll(parts, ""); // one flat text: the binding cannot read the ropes that + makes
  };

  // --- The way to a device ---

  const bytesFrom = (found) => {
    const bytes = [], length = found == null ? NaN : N(found.length);
    if (typeof found !== "object" || !(length >= 0 && length <= MAX_DOWN)) return null;
    for (let i = 0; i < length; i++) {
      const byte = N(found[i]);
      if (trunc(byte) !== byte || byte < -128 || byte > 255) return null;
      bytes[i] = byte & 255;
    }
    return bytes;
  };
  const encodeAnswer = (entries, data, fPort, variables) => {
    const encodeDownlink = entries[4], Encode = entries[6], Encoder = entries[7];
    let found, warnings = [], errors = [], port = null;
    if (encodeDownlink) {
      const made = encodeDownlink({ data, fPort, variables });
      if (made === null || typeof made !== "object") return told({ errors: [`encodeDownlink returned ${describe(made)}; it must return the bytes as { bytes: [1, 255], fPort: 2 }`] });
      errors = describeAll(made.errors);
      warnings = describeAll(made.warnings);
      found = made.bytes;
      port = made.fPort === undefined || made.fPort === null ? null : N(made.fPort);
    } else {
      found = Encode ? Encode(fPort, data, variables) : Encoder(data, fPort);
    }
    if (errors.length) return told({ errors, warnings });
    const bytes = bytesFrom(found);
    if (bytes === null) return told({ errors: [`the codec returned ${describe(found)}; it must be a list of at most ${MAX_DOWN} bytes`] });
    return told({ data: { bytes, fPort: port }, warnings });
  };
  const downAnswer = (entries, bytes, fPort, variables) => {
    const found = entries[5]({ bytes, fPort, variables });
    if (found === null || typeof found !== "object") return told({ errors: [`decodeDownlink returned ${describe(found)}; it must return the values as { data: { valve: 1 } }`] });
    const errors = describeAll(found.errors), warnings = describeAll(found.warnings);
    if (errors.length) return told({ errors, warnings });
    const text = found.data == null ? "null" : toJson(found.data, []) || "null";
    if (text.length > MAX_RESULT) return ` {"crash":"the result has ${text.length} characters of JSON, want at most ${MAX_RESULT}"}`;
    return joinAll([' {"data":', text, ',"warnings":', stringify(warnings), "}"], "");
  };
  // task: 0 decode an uplink, 1 encode a downlink from JSON, 2 decode a downlink
  const perform = (task, entries, payload, fPort, timeMs, variables) => {
    const given = variables ? parse(variables) : {};
    if (task === 1) return encodeAnswer(entries, parse(payload), fPort || undefined, given);
    return task === 2 ? downAnswer(entries, parse(payload), fPort, given) : answer(entries, parse(payload), fPort, timeMs, given);
  };

  // Nothing thrown leaves the engine as it is: to make text of it would run the codec's code without limit.
  // null is left as it is: the engine throws it, too, when its memory is full.
  const thrown = (error) => {
    const text = describe(error);
    if (error instanceof E) return text || "an error without a message";
    if (typeof error === "string") return text || "the codec threw an empty text";
    return error === null ? text : `the codec threw ${text}`;
  };
  const crashOf = (error) => {
    try {
      return told({ crash: thrown(error), stack: error instanceof E ? shorten(S(error.stack)) : "" });
    } catch {
      return ' {"crash":"the codec failed, and its error cannot be read"}';
    }
  };

  // A codec's functions by kind, those of `answer` first: named in the file, or exported.
  const NAMES = ["decodeUplink", "normalizeUplink", "Decode", "Decoder", "encodeDownlink", "decodeDownlink", "Encode", "Encoder"];
  const enter = (factory) => {
    const offered = {}, module = { exports: offered };
    const named = factory(module, offered, require);
    if (module.exports === offered && ownKeys(offered).length === 0 && getPrototypeOf(offered) === plain) return named;
    for (let i = 0; i < NAMES.length; i++) {
      if (named[i]) continue;
      const exported = module.exports && (module.exports[NAMES[i]] || (module.exports.default && module.exports.default[NAMES[i]]));
      if (typeof exported === "function") named[i] = exported;
    }
    return named;
  };

  return {
    // The codec's functions in a frozen world: (payload, fPort, timeMs, variables, task) -> JSON. Its file runs anew
    // for each call inside a function, so that its top-level variables are new as well.
    // An answer that begins with "!" means: this world cannot serve again, make another.
    // polyfills: what `inspect` said.
    closed(factory, polyfills) {
      freeze(factory);
      freeze(factory.prototype);
      const loose = parse(polyfills);
      const inherited = close(loose);
      const names = new Set(ownKeys(world)), count = names.size;
      return (payload, fPort, timeMs, variables, task) => {
        let text;
        try {
          text = perform(task, enter(factory), payload, fPort, timeMs, variables);
        } catch (error) {
          text = crashOf(error);
        }
        try {
          if (!((loose.length === 0 || putBack(loose)) && sweep(world, names, count) && getPrototypeOf(world) === inherited)) return "!";
          return isExtensible(world) ? text : joinAll(["!", text], "");
        } catch {
          return "!";
        }
      };
    },
    // The same in an ordinary world, good for one call.
    open(factory) {
      return (payload, fPort, timeMs, variables, task) => {
        try {
          return perform(task, enter(factory), payload, fPort, timeMs, variables);
        } catch (error) {
          return crashOf(error);
        }
      };
    },
    // Runs the file's top level once and says what it offers and what it changes of the language itself:
    // `polyfills` by path and keys, or `changed` for what has no path.
    inspect(factory) {
      const before = new Map();
      for (const [thing, path] of intrinsics()) {
        const own = new Map();
        for (const key of ownKeys(thing)) own.set(key, getOwnPropertyDescriptor(thing, key));
        before.set(thing, { path, own, proto: getPrototypeOf(thing) });
      }
      const world = ownKeys(globalThis).map((key) => [key, globalThis[key]]);
      try {
        const entries = enter(factory);
        let changed = world.some(([key, value]) => !is(globalThis[key], value));
        const polyfills = [];
        for (const [thing, { path, own, proto }] of before) {
          const keys = new Set([...own.keys(), ...ownKeys(thing)]);
          const touched = [...keys].filter((key) => {
            const was = own.get(key), now = getOwnPropertyDescriptor(thing, key);
            return !was || !now || !is(was.value, now.value) || was.get !== now.get || was.set !== now.set;
          });
          if (touched.length && path && touched.every((key) => typeof key === "string")) polyfills.push({ path, keys: touched });
          else if (touched.length) changed = true;
          if (getPrototypeOf(thing) !== proto) changed = true;
        }
        return stringify({ entries: NAMES.filter((name, i) => entries[i]), polyfills: stringify(polyfills), changed });
      } catch (error) {
        return crashOf(error); // of the file, or of what it made of the builtins that are used here
      }
    },
  };
})()
