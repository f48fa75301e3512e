/** For one connection only, or ours to say: they are not a message's own. */
const hopByHop: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade', 'content-length', 'expect'],
]);

/** A head's raw fields as a Request or Response has them. @param ours the name of our own field, lower case */
export function headersOf(raw: readonly string[], ours: string): Headers {
  const headers = new Headers();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    if (name === ours || (hopByHop.has(name) && name !== 'content-length')) continue;
    headers.append(name, raw[i + 1]);
  }
  return headers;
}

/** A head's raw fields without the name of a trailer: only a chunked message can have one, and Node sends no other that says so. */
export function withoutTrailer(raw: readonly string[]): string[] {
  return raw.filter((_, i) => raw[i & ~1].toLowerCase() !== 'trailer');
}

/** Fields as Node takes them, names and values in turn, without those that frame the message. */
export function rawFields(headers: Headers, ours: string): string[] {
  const raw: string[] = [];
  for (const [name, value] of headers) if (!hopByHop.has(name) && name !== ours) raw.push(name, value);
  return raw;
}
