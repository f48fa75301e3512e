/** What a declaration file takes from another module. */
export interface Taken {
  /** As it is called here. */
  readonly name: string;
  /** As it is called there; `*` for all of it. */
  readonly original: string;
  readonly module: string;
}

export interface Statement {
  readonly kind: 'import' | 'export from' | 'export list' | 'declaration';
  /** With the comment before it. */
  readonly text: string;
  /** Of an import, or of an export from another module. `export * from` has one with the name `*`. */
  readonly taken: readonly Taken[];
  /** What a declaration declares, or a list exports. */
  readonly names: readonly string[];
}

const COMMENT = /\/\*[\s\S]*?\*\//g;
const COMMENT_OR_STRING = /\/\*[\s\S]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

/**
 * Splits a declaration file, as tsc writes them.
 * @throws Error for what is not understood, so that nothing is left out unnoticed
 */
export function statementsOf(source: string): Statement[] {
  const texts: string[] = [];
  let text = '';
  for (const line of source.split('\n')) {
    text += `${line}\n`;
    if (!isWhole(text)) continue;
    texts.push(text);
    text = '';
  }
  if (text.trim() !== '') texts.push(text);
  return texts.map((each) => parse(each.trim()));
}

/** Whether a statement ends here, with its comment before it. */
function isWhole(text: string): boolean {
  const code = text.replaceAll(COMMENT_OR_STRING, (all) => (all.startsWith('/') ? '' : '""')).trim();
  const count = (pattern: RegExp) => code.match(pattern)?.length ?? 0;
  // Only these end without a semicolon.
  const end = /^(?:export )?(?:declare )?(?:abstract )?(?:interface|class|enum) /.test(code) ? /}$/ : /;$/;
  return end.test(code) && !code.includes('/*') && count(/[{([]/g) === count(/[})\]]/g);
}

function parse(text: string): Statement {
  const code = text.replaceAll(COMMENT, '').trim();
  const from = /^(import|export)\s(?:type\s)?([^'"]*?)\s?(?:from\s)?(['"])([^'"]+)\3;$/.exec(code);
  if (from !== null) {
    const kind = from[1] === 'import' ? 'import' : 'export from';
    return { kind, text, names: [], taken: takenBy(from[2], from[4]) };
  }
  const list = /^export (?:type )?\{([^}]*)\};$/.exec(code);
  if (list !== null && !list[1].includes(' as '))
    return { kind: 'export list', text, names: namesIn(list[1]).map(([name]) => name), taken: [] };
  const declared =
    /^(?:export )?(?:declare )?(?:abstract )?(?:interface|type|class|function|const|let|var|enum) ([\w$]+)/.exec(code);
  if (declared === null) throw new Error(`a declaration that scripts/package/declaration-file.ts can't read:\n${text}`);
  return { kind: 'declaration', text, names: [declared[1]], taken: [] };
}

/** @param clause `D, { a, type B as C }`, `* as name`, `*` or nothing */
function takenBy(clause: string, module: string): Taken[] {
  const taken: Taken[] = [];
  const star = /\*(?: as ([\w$]+))?/.exec(clause);
  if (star !== null) taken.push({ name: star[1] ?? '*', original: '*', module });
  const braces = /\{([^}]*)\}/.exec(clause);
  for (const [original, name] of namesIn(braces?.[1] ?? '')) taken.push({ name, original, module });
  const byDefault = /^([\w$]+)(?:,|$)/.exec(clause);
  if (byDefault !== null) taken.push({ name: byDefault[1], original: 'default', module });
  return taken;
}

/** @param list `a, type B as C` @returns as it is called there, and here */
function namesIn(list: string): [original: string, name: string][] {
  return list
    .split(',')
    .map((part) => part.trim().replace(/^type /, ''))
    .filter((part) => part !== '')
    .map((part) => {
      const [original, name = original] = part.split(' as ');
      return [original, name];
    });
}

/** Names and modules that a statement may refer to: rather one too many, of a property of the same name, say. */
export function mentions(text: string): { names: Set<string>; inline: Taken[] } {
  const code = text.replaceAll(COMMENT, '');
  const inline = [...code.matchAll(/\bimport\((['"])([^'"]+)\1\)(?:\.([\w$]+))?/g)].map(([, , module, name = '*']) => ({
    name,
    original: name,
    module,
  }));
  return { names: new Set(code.match(/[A-Za-z_$][\w$]*/g)), inline };
}
