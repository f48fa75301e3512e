/**
 * Hashes a text for consistent hashing: FNV-1a, then a mix so that every bit of the result depends on all of it.
 * Not for secrets: whoever knows the keys can find two that meet.
 * @param text a value as it stands in a head, one character a byte (latin1); then `hashBytes` of those bytes says the same
 * @returns 0 up to 2^32 - 1
 */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** `hashText` of bytes, from `start` up to, not including, `end`: a header's value need not become a string. */
export function hashBytes(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return mix(hash);
}

/** MurmurHash3's finalizer: one bit changed in `hash` changes each bit of the result half of the time. */
export function mix(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** How many slots all keys fall into. What is decided for a slot holds for all of its keys, so that it can be remembered. */
export const slotCount = 0x10000;

/** @param key what `hashText` or `hashBytes` said */
export function slotOf(key: number): number {
  return key >>> 16;
}

/**
 * Rendezvous hashing: how much this slot wants this member; the highest score has it. As a score depends on nothing but
 * the two, only the keys of a member that leaves move, and a new one only takes keys, each by its weight
 * (Schindelhauer and Schomaker, "Weighted distributed hash tables").
 * @param seed `hashText` of the member's address
 * @param weight above 0
 */
export function rendezvousScore(slot: number, seed: number, weight: number): number {
  // Never 0, whose logarithm is no number, nor 1, whose logarithm is 0.
  return -weight / Math.log((rendezvousDraw(slot, seed) + 0.5) / 0x100000000);
}

/** The draw behind the score, 0 up to 2^32 - 1. Where all weights are equal, comparing draws says the same, and costs less. */
export function rendezvousDraw(slot: number, seed: number): number {
  return mix(seed ^ Math.imul(slot + 1, 0x9e3779b1));
}
