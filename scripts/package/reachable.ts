import { mentions, type Statement, statementsOf, type Taken } from './declaration-file.ts';

interface File {
  readonly path: string;
  readonly statements: readonly Statement[];
  /** What is kept: declarations, and names that imports and exports take from elsewhere. */
  readonly kept: Set<Statement>;
  readonly keptNames: Set<string>;
}

/**
 * Leaves out of declaration files all that the entries' exports don't need: what is internal, and with it types of
 * packages that a consumer may not have.
 * @param entries their paths
 * @param read a file's text
 * @param resolve the path that a relative import leads to
 * @returns by path, with imports of `./x.js`, which every TypeScript resolves
 * @throws Error for a name that is nowhere
 */
export function reachable(
  entries: readonly string[],
  read: (path: string) => string,
  resolve: (from: string, module: string) => string,
): Map<string, string> {
  const files = new Map<string, File>();

  function open(path: string): File {
    let file = files.get(path);
    if (file === undefined) {
      file = { path, statements: statementsOf(read(path)), kept: new Set(), keptNames: new Set() };
      files.set(path, file);
    }
    return file;
  }

  function take(file: File, one: Taken): void {
    if (!follow(file, one)) throw new Error(`${file.path}: ${one.module} has no ${one.original}`);
  }

  /** @returns whether it is there; of packages, taken for granted */
  function follow(file: File, { module, original }: Taken): boolean {
    if (!module.startsWith('.')) return true;
    const target = open(resolve(file.path, module));
    if (original === '*') return keepAll(target);
    return keep(target, original);
  }

  /** Keeps what a name of this file stands for. @returns whether it has one */
  function keep(file: File, name: string): boolean {
    if (file.keptNames.has(name)) return true;
    const declared = file.statements.filter(({ kind, names }) => kind === 'declaration' && names.includes(name));
    if (declared.length > 0) {
      file.keptNames.add(name);
      for (const statement of declared) keepDeclaration(file, statement);
      return true;
    }
    const taken = file.statements.flatMap((statement) => statement.taken);
    const one = taken.find((each) => each.name === name);
    if (one !== undefined) {
      file.keptNames.add(name);
      take(file, one);
      return true;
    }
    // `export * from`: whichever has it.
    const star = taken.find((each) => each.name === '*' && follow(file, { ...each, original: name }));
    if (star !== undefined) file.keptNames.add('*');
    return star !== undefined;
  }

  function keepDeclaration(file: File, statement: Statement): void {
    if (file.kept.has(statement)) return;
    file.kept.add(statement);
    const { names, inline } = mentions(statement.text);
    for (const one of inline) take(file, one);
    for (const name of names) keep(file, name);
  }

  function keepAll(file: File): true {
    for (const { kind, text, names, taken } of file.statements) {
      if (kind === 'export from') {
        for (const one of taken) {
          file.keptNames.add(one.name);
          take(file, one);
        }
      } else if (kind === 'export list' || /^export /m.test(text)) for (const name of names) keep(file, name);
    }
    return true;
  }

  for (const path of entries) keepAll(open(path));
  return new Map(
    [...files.values()]
      .filter(({ keptNames }) => keptNames.size > 0)
      .map((file) => [file.path, `${textOf(file)}\n`.replaceAll(MODULE, '$1$2.js$3')]),
  );
}

/** Ends a relative module's name. */
const MODULE = /(\bfrom |\bimport\(|^import )(['"]\.[^'"\n]*)\.ts(['"])/gm;

function textOf({ statements, kept, keptNames }: File): string {
  const texts: string[] = [];
  for (const statement of statements) {
    const { kind, text } = statement;
    if (kind === 'declaration') {
      if (kept.has(statement)) texts.push(text);
      continue;
    }
    const taken = [...statement.taken, ...statement.names.map((name) => ({ name, original: name }))];
    const used = taken.filter(({ name }) => keptNames.has(name));
    // `export {}` says that this is a module.
    if (used.length === taken.length) texts.push(text);
    else if (used.length > 0) texts.push(withOnly(text, used));
  }
  return texts.join('\n');
}

function withOnly(text: string, used: readonly Omit<Taken, 'module'>[]): string {
  const names = used.map(({ name, original }) => (name === original ? name : `${original} as ${name}`));
  return text.replace(/\{[^}]*\}/, `{ ${names.join(', ')} }`);
}
