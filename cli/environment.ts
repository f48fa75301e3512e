import { usageError } from './failure.ts';
import type { Setting, Variable } from './setting.ts';

type Settings = Record<string, Setting<unknown>>;

/** The values of a table of settings. */
export type Values<S extends Settings> = { -readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/**
 * Reads settings: flag over variables (in their order; an empty one counts as unset) over fallback.
 * @param flags texts (or true for a switch) by the flag's name in camelCase, as cac gives them
 * @throws CliError, exit code 2, naming the flag or the variable that is wrong
 */
export function readSettings<S extends Settings>(
  settings: S,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Values<S> {
  const read = Object.entries(settings).map(([key, one]) => [key, readSetting(one, flags, environment)]);
  return Object.fromEntries(read);
}

function readSetting(
  one: Setting<unknown>,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): unknown {
  const given = givenTo(one, flags, environment);
  return given === undefined ? one.fallback : parsed(one, given);
}

interface Given {
  readonly text: string;
  /** `--flag`, or the variable. */
  readonly source: string;
  readonly parse: (text: string) => unknown;
}

/** What a setting is given, and by what. */
function givenTo(
  one: Setting<unknown>,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): Given | undefined {
  const flag = flags[one.flag.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase())];
  if (Array.isArray(flag)) throw usageError(`--${one.flag} is given more than once.`, 'Give it once.');
  if (flag !== undefined) return { text: String(flag), source: `--${one.flag}`, parse: one.parse };
  for (const variable of one.variables) {
    const { name, parse = one.parse } = typeof variable === 'string' ? { name: variable } : variable;
    const text = environment[name];
    if (text !== undefined && text !== '') return { text, source: name, parse };
  }
  return undefined;
}

/** A setting as people see it. */
export interface SettingInForce {
  /** Its flag, without dashes. */
  readonly name: string;
  /** As it was given, or as help words the default; of a secret only that there is one. */
  readonly value: string;
  /** `--flag`, the variable, or `default`. */
  readonly source: string;
}

/** All settings with what they are and why. Secrets are not shown. @throws as `readSettings` */
export function settingsInForce(
  settings: Settings,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): SettingInForce[] {
  return Object.values(settings).map((one) => {
    const given = givenTo(one, flags, environment);
    if (given === undefined) return { name: one.flag, value: one.shown, source: 'default' };
    parsed(one, given);
    const value = secretFlags.has(one.flag) ? '(given)' : quotable(given.text);
    return { name: one.flag, value, source: given.source };
  });
}

const secretFlags = new Set(['db-token', 'encryption-key', 'acme-eab-key', 'token']);

function parsed({ flag }: Setting<unknown>, { text, source, parse }: Given): unknown {
  try {
    if (text === '') throw new RangeError('a value');
    return parse(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const hint = source.startsWith('--') ? 'See oo <command> --help.' : `Mend or unset the variable ${source}.`;
    // What is wrong with a secret may be a character of many: it is one all the same.
    const is = secretFlags.has(flag) && text !== '' ? 'is not what it must be' : `is '${quotable(text)}'`;
    throw usageError(`${source} ${is}; expected ${error.message}.`, hint);
  }
}

/** One line, not too long, without the password or token of a URL. */
export function quotable(text: string): string {
  const line = text
    .replace(/\/\/[^/?#]*@/, '//…@')
    .replace(/\?.*/s, '?…')
    .replace(/\p{C}/gu, '?');
  return line.length > 100 ? `${line.slice(0, 100)}…` : line;
}

/** Adds the settings' flags to a command of cac. */
export function addFlags<C extends { option(name: string, description: string): C }>(
  command: C,
  settings: Settings,
): C {
  for (const { flag, letter, value, description, variables, shown } of Object.values(settings)) {
    const [variable] = variables.map(nameOf);
    command.option(
      `${letter ? `-${letter}, ` : ''}--${flag}${value ? ` <${value}>` : ''}`,
      `${description} (${variable}; default: ${shown})`,
    );
  }
  return command;
}

/** The settings as rows of a Markdown table, for the README. */
export function settingsTable(settings: Settings): string {
  const rows = Object.values(settings).map(({ flag, value, variables, shown, description }) => {
    const cells = [
      `\`--${flag}${value ? ` ${value}` : ''}\``,
      variables.map((one) => `\`${nameOf(one)}\``).join(', '),
      shown,
    ];
    return [...cells, description].map((cell) => cell.replaceAll('|', '\\|'));
  });
  const lines = [['flag', 'variables', 'default', 'meaning'], ['---', '---', '---', '---'], ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function nameOf(variable: string | Variable<unknown>): string {
  return typeof variable === 'string' ? variable : variable.name;
}
