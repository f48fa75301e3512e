/** Fields of one message: names in lower case, of which only Set-Cookie comes more than once. Making Headers of them costs more than all else that is done with them. */
export type Fields = [name: string, value: string][];

const isDeno = 'Deno' in globalThis;

/** Puts it in the place of one of the same name. */
export function setField(fields: Fields, name: string, value: string): void {
  const known = fields.find((field) => field[0] === name);
  if (known === undefined) fields.push([name, value]);
  else known[1] = value;
}

/** Adds it behind what is said by that name. */
export function appendField(fields: Fields, name: string, value: string): void {
  const known = fields.find((field) => field[0] === name);
  if (known === undefined) fields.push([name, value]);
  else known[1] += `, ${value}`;
}

export function hasField(fields: Fields, name: string): boolean {
  return fields.some((field) => field[0] === name);
}

/** As the runtime takes them for the least: Deno copies Headers one by one, and the others check pairs at length. */
export function initOf(fields: Fields): HeadersInit {
  return isDeno ? fields : headersOf(fields);
}

export function headersOf(fields: Fields): Headers {
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, value);
  return headers;
}
