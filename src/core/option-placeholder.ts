/** What of a request can be named in a field's value, as `{client.ip}`. */
export const placeholders = [
  ...(['client.ip', 'host', 'scheme', 'method', 'path', 'uri', 'route', 'request.id'] as const),
] as const;

export type Placeholder = (typeof placeholders)[number];

/** Says what a placeholder stands for. */
export type Fill = (name: Placeholder) => string;

/** A value with placeholders: texts and names take turns, a text first. */
export interface Template {
  readonly texts: readonly string[];
  readonly names: readonly Placeholder[];
}

// JSON, as Report-To has it, has quotes behind its braces.
const form = /\{([a-z][a-z.]*)\}/g;

/** Takes a value apart. @returns the name that nothing is known by, if it has one */
export function compileTemplate(value: string): Template | { readonly unknown: string } {
  const names: Placeholder[] = [];
  const texts: string[] = [];
  let at = 0;
  for (const match of value.matchAll(form)) {
    const name = placeholders.find((known) => known === match[1]);
    if (name === undefined) return { unknown: match[1] };
    texts.push(value.slice(at, match.index));
    names.push(name);
    at = match.index + match[0].length;
  }
  texts.push(value.slice(at));
  return Object.freeze({ texts, names });
}

/** The value for one request: '' if nothing is left. What could not stand in one line of a head is left out. */
export function fillTemplate({ texts, names }: Template, fill: Fill): string {
  if (names.length === 0) return texts[0];
  let value = texts[0];
  for (let i = 0; i < names.length; i++) value += oneLine(fill(names[i])) + texts[i + 1];
  return value.trim();
}

function oneLine(text: string): string {
  return /^[\u0020-\u007e]*$/.test(text) ? text : '';
}

/** As it was written. */
export function templateText({ texts, names }: Template): string {
  return texts.map((text, i) => (i === 0 ? text : `{${names[i - 1]}}${text}`)).join('');
}
