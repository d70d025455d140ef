// Gray pixels → a PNG file (W3C, Portable Network Graphics), at once: `canvas.toBlob` waits for an idle moment, and
// `CompressionStream` for another thread. Knows only runs of equal bytes (RFC 1951, section 3.2.6), which is what paper is.

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
const LONGEST = 257; // 258 has a symbol of its own

/** RGBA, of which red counts → a square gray PNG file of 8 bits. */
export function grayPng(rgba, side) {
  const rows = new Uint8Array(side * (side + 1));
  for (let y = 0; y < side; y++) {
    const start = y * (side + 1);
    rows[start] = 2; // the filter "up": most rows equal the one above, and become runs of 0
    for (let x = 0; x < side; x++) {
      const at = 4 * (y * side + x);
      rows[start + x + 1] = rgba[at] - (y ? rgba[at - 4 * side] : 0);
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, side);
  view.setUint32(4, side);
  header[8] = 8;
  const chunks = [["IHDR", header], ["IDAT", deflated(rows)], ["IEND", new Uint8Array(0)]].map(chunk);
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), ...chunks];
  const file = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  parts.reduce((place, part) => (file.set(part, place), place + part.length), 0);
  return file;
}

/** One block with fixed codes, in zlib's frame (RFC 1950). */
function deflated(bytes) {
  const out = new Uint8Array(16 + Math.ceil((bytes.length * 9) / 8));
  let [size, held, count] = [2, 0, 0];
  out.set([0x78, 1]);
  const bits = (value, width) => {
    held |= value << count;
    for (count += width; count >= 8; count -= 8, held >>>= 8) out[size++] = held & 255;
  };
  const code = (value, width) => { // Huffman codes begin with their highest bit
    for (let bit = width - 1; bit >= 0; bit--) bits((value >> bit) & 1, 1);
  };
  const literal = (value) => (value < 144 ? code(0x30 + value, 8) : code(0x190 + value - 144, 9));
  const again = (length) => { // the byte before, so often: the length's symbol, its low bits, and the distance 1
    const rest = length - 3;
    const low = Math.max(0, 29 - Math.clz32(rest));
    const symbol = 257 + (low << 2) + (rest >> low);
    if (symbol < 280) code(symbol - 256, 7);
    else code(0xc0 + symbol - 280, 8);
    bits(rest & ((1 << low) - 1), low);
    code(0, 5);
    return length;
  };
  bits(1, 1);
  bits(1, 2);
  for (let at = 0; at < bytes.length; ) {
    literal(bytes[at]);
    let run = 1;
    while (at + run < bytes.length && bytes[at + run] === bytes[at]) run++;
    let left = run - 1;
    while (left >= 3) left -= again(Math.min(left, LONGEST));
    for (; left > 0; left--) literal(bytes[at]);
    at += run;
  }
  code(0, 7);
  bits(0, 7 & -count);
  let [a, b] = [1, 0];
  for (const byte of bytes) b = (b + (a = (a + byte) % 65521)) % 65521;
  new DataView(out.buffer).setUint32(size, ((b << 16) | a) >>> 0);
  return out.subarray(0, size + 4);
}

function chunk([kind, content]) {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set([...kind].map((letter) => letter.charCodeAt(0)), 4);
  bytes.set(content, 8);
  let crc = ~0;
  for (const byte of bytes.subarray(4, 8 + content.length)) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  view.setUint32(8 + content.length, ~crc >>> 0);
  return bytes;
}
