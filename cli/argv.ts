/**
 * What stands between a shell and cac. cac's parser knows commands of one word, reads `1e3` and `007` as numbers, drops `-`,
 * and takes the word after a switch with a dash in its name for its value. So, before it:
 * words of a command are joined (`routes ls` → the command `route ls`), flags are put in camelCase, and values travel behind a mark.
 */

export { nearest } from '../src/core/nearest.ts';

/** No argument of a process can hold it. */
const mark = '\0';

/** What the arguments are to be understood by. */
export interface Grammar {
  /** Other words for a noun: `routes` → `route`. */
  readonly nouns: Readonly<Record<string, string>>;
  /** Is this a command: `route ls`, `serve`? */
  isCommand(words: string): boolean;
  /** Does this flag (camelCase, or one letter) take a value? */
  takesValue(flag: string): boolean;
}

/** The arguments as cac is to see them, and the command's words as they were typed. */
export function prepare(argv: readonly string[], grammar: Grammar): { argv: string[]; words: string[] } {
  const out: string[] = [];
  const places: number[] = [];
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i];
    if (argument === '--') {
      // cac would set these apart from the other arguments.
      out.push(...argv.slice(i + 1).map((rest) => mark + rest));
      break;
    }
    if (!/^-./.test(argument)) {
      if (places.length < 2) places.push(out.length);
      out.push(mark + argument);
      continue;
    }
    const flag = readFlag(argument);
    out.push(flag.value === undefined ? flag.text : `${flag.text}=${mark}${flag.value}`);
    if (flag.value === undefined && grammar.takesValue(flag.name) && i + 1 < argv.length) {
      // A value that looks like a flag is one, unless it comes with '='.
      if (!/^-./.test(argv[i + 1])) out.push(mark + argv[++i]);
    }
  }
  const words = places.map((place) => out[place].slice(1));
  return { argv: joinCommand(out, places, words, grammar), words };
}

function readFlag(argument: string): { text: string; name: string; value?: string } {
  const [, dashes, raw, value] = /^(--?)([^=]*)(?:=(.*))?$/s.exec(argument) as RegExpExecArray;
  const name = raw.replace(/-([a-z])/g, (all, letter, at) =>
    raw.startsWith('no-') && at === 2 ? all : letter.toUpperCase(),
  );
  return { text: dashes + name, name: dashes === '-' ? name.slice(-1) : name, value };
}

function joinCommand(out: string[], places: number[], words: string[], { nouns, isCommand }: Grammar): string[] {
  if (words.length === 0) return out;
  const noun = Object.hasOwn(nouns, words[0]) ? nouns[words[0]] : words[0];
  const joined = words.length > 1 ? `${noun} ${words[1]}` : noun;
  const rest = (used: number) => out.filter((_, at) => !places.slice(0, used).includes(at));
  if (words.length > 1 && isCommand(joined)) return [joined, ...rest(2)];
  return [noun, ...rest(1)];
}

/** Takes the marks off again, wherever cac put the values. */
export function unmark<T>(value: T): T {
  if (typeof value === 'string') return (value.startsWith(mark) ? value.slice(1) : value) as T;
  if (Array.isArray(value)) return value.map(unmark) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, unmark(one)])) as T;
}

/** `stateDir` → `--state-dir`: a flag as a person types it. */
export function spell(flag: string): string {
  if (flag.length === 1) return `-${flag}`;
  return `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
