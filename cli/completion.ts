import type { CAC, Command } from 'cac';
import { spell } from './argv.ts';
import { localContext, readContexts } from './context-file.ts';
import { usageError } from './failure.ts';
import type { Io } from './io.ts';
import { printable } from './output.ts';
import { callerAt, placeOf } from './remote.ts';

/** Somebody waits at the keyboard: a server that is slower than this offers nothing, ms. */
const patienceMs = 1_000;
const mostIds = 500;

/** What can stand at a place of the line, and what it is. */
export interface Candidate {
  readonly text: string;
  /** '' for nothing to say. */
  readonly about: string;
}

/** Whose ids a command's arguments are, by the command or its noun. */
const argumentsOf: Readonly<Record<string, readonly Ids[]>> = {
  ...{ route: ['routes'], cert: ['certs'], instance: ['instances'], definition: ['services'], token: ['tokens'] },
  ...{ context: ['contexts'], login: ['contexts'], logout: ['contexts'], explain: ['routes'] },
  ...{ deploy: ['routes', 'services'], pause: ['routes', 'services'], resume: ['routes', 'services'] },
  ...{ stop: ['routes', 'services'], rollback: ['routes', 'services', 'revisions'], history: ['revisions'] },
  ...{ diff: ['revisions'], completion: ['shells'] },
};
/** Of these, arguments are files or new names. */
const takesFiles = new Set(['route save', 'definition save', 'context add', 'cert save', 'instance register']);

type Ids = 'routes' | 'services' | 'certs' | 'instances' | 'tokens' | 'contexts' | 'revisions' | 'shells';

const flagValues: Readonly<Record<string, readonly string[]>> = { output: ['table', 'json', 'yaml', 'name'] };

/** `oo completion bash|zsh|fish`: the script for a shell, which asks this same command, with the words after `--`, for what may come. */
export function addCompletionCommand(program: CAC, io: Io, nouns: Readonly<Record<string, string>>): void {
  program
    .command('completion <shell> [...words]', 'Print the script that completes oo in a shell: bash, zsh or fish')
    .example('source <(oo completion bash)                      # in ~/.bashrc, or ~/.zshrc with zsh')
    .example('oo completion fish > ~/.config/fish/completions/oo.fish')
    .example('oo completion bash -- route get app.              # what may come there')
    .action(async (shell: string, words: string[]) => {
      if (!Object.hasOwn(scripts, shell))
        throw usageError(`There is no completion for ${printable(shell)}.`, 'Name bash, zsh or fish.');
      if (words.length === 0) return io.out(scripts[shell as keyof typeof scripts]);
      const found = await candidates(program, words, nouns, (ids, options) => idsOf(io, ids, options));
      const line = ({ text, about }: Candidate) => (shell === 'bash' || about === '' ? text : `${text}\t${about}`);
      io.out(found.map((one) => `${line(one)}\n`).join(''));
    });
}

/**
 * What may stand in the place of the last word.
 * @param words those of the line after `oo`; the last is as far as it is typed, '' for nothing yet
 * @param live asks for ids that there are
 */
export async function candidates(
  program: CAC,
  words: readonly string[],
  nouns: Readonly<Record<string, string>>,
  live: (ids: Ids, options: Readonly<Record<string, string>>) => Promise<readonly Candidate[]>,
): Promise<Candidate[]> {
  const typed = words.at(-1) ?? '';
  const { plain, options, open } = taken(program, words.slice(0, -1));
  if (open !== undefined) return starting(typed, await valuesOf(open, options, live));
  const [first = '', second = ''] = plain;
  const noun = Object.hasOwn(nouns, first) ? nouns[first] : first;
  const command = program.commands.find((one) => one.isMatched(`${noun} ${second}`)) ?? matched(program, noun);
  if (typed.startsWith('-')) return starting(typed, command === undefined ? [] : flagsOf(command));
  const verbs = program.commands.filter(({ name }) => name.startsWith(`${noun} `));
  if (plain.length === 0) return starting(typed, topWords(program));
  if (command === undefined || (plain.length === 1 && verbs.length > 0))
    return starting(
      typed,
      verbs.map(({ name, description }) => ({ text: name.slice(noun.length + 1), about: description })),
    );
  if (takesFiles.has(command.name) || command.args.length === 0) return [];
  const kinds = argumentsOf[noun] ?? [];
  const all = (await Promise.all(kinds.map((kind) => live(kind, options)))).flat();
  return starting(
    typed,
    all.filter(({ text }) => !plain.includes(text)),
  );
}

/** The words that are no flags nor their values; `open` is the flag whose value comes next. */
function taken(program: CAC, words: readonly string[]) {
  const all = [...program.globalCommand.options, ...program.commands.flatMap((command) => command.options)];
  const plain: string[] = [];
  const options: Record<string, string> = {};
  let open: string | undefined;
  for (const word of words) {
    const [, name, value] = /^--?([a-zA-Z][\w-]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (open !== undefined) options[open] = word;
    if (open !== undefined || name === undefined) {
      if (open === undefined) plain.push(word);
      open = undefined;
      continue;
    }
    const camel = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const option = all.find((one) => one.names.includes(camel));
    const key = option?.name ?? camel;
    if (value !== undefined) options[key] = value;
    else if (option?.required) open = key;
  }
  return { plain, options, open };
}

function matched(program: CAC, noun: string): Command | undefined {
  return program.commands.find((one) => one.isMatched(noun));
}

function starting(typed: string, all: readonly Candidate[]): Candidate[] {
  const seen = new Set<string>();
  return all.filter(({ text }) => text.startsWith(typed) && !seen.has(text) && seen.add(text));
}

function topWords(program: CAC): Candidate[] {
  return program.commands
    .filter(({ name }) => name !== '')
    .map(({ name, description }) => {
      const [word, verb] = name.split(' ');
      return { text: word, about: verb === undefined ? description : '' };
    });
}

function flagsOf(command: Command): Candidate[] {
  return command.options.flatMap(({ names, description }) =>
    names.filter((name) => name.length > 1).map((name) => ({ text: spell(name), about: description })),
  );
}

async function valuesOf(
  flag: string,
  options: Readonly<Record<string, string>>,
  live: (ids: Ids, options: Readonly<Record<string, string>>) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  if (flag === 'env') return live('contexts', options);
  if (flag === 'service' || flag === 'slug') return live('services', options);
  if (flag === 'at') return live('revisions', options);
  return (flagValues[flag] ?? []).map((text) => ({ text, about: '' }));
}

/** Where no server answers, there is nothing to offer. */
async function idsOf(io: Io, ids: Ids, options: Readonly<Record<string, string>>): Promise<Candidate[]> {
  const plain = (texts: readonly string[]) => texts.map((text) => ({ text, about: '' }));
  if (ids === 'shells') return plain(Object.keys(scripts));
  try {
    if (ids === 'contexts') return plain([localContext, ...Object.keys(readContexts(io.env).contexts)]);
    const { path, list } = sources[ids];
    const answer = await inTime(callerAt(io, placeOf(io, options), { silenceMs: patienceMs })('GET', path));
    return list(answer)
      .slice(0, mostIds)
      .map(({ text, about }) => ({ text: printable(text), about: printable(about) }));
  } catch {
    return [];
  }
}

/** One that is just starting is not waited for. */
function inTime<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('too late')), patienceMs).unref();
    answer.then(resolve, reject);
  });
}

// biome-ignore lint/suspicious/noExplicitAny: the server is of this same program
type Answer = any;

const sources: Readonly<
  Record<Exclude<Ids, 'contexts' | 'shells'>, { path: string; list(answer: Answer): Candidate[] }>
> = {
  routes: {
    path: `/v1/routes?limit=${mostIds}`,
    list: ({ routes }) =>
      routes.map(({ id, target }: Answer) => ({ text: id, about: typeof target === 'string' ? target : '' })),
  },
  services: {
    path: '/v1/services',
    list: ({ services }) => services.map(({ id }: Answer) => ({ text: id, about: '' })),
  },
  certs: { path: '/v1/certs', list: ({ certs }) => certs.map(({ id }: Answer) => ({ text: id, about: '' })) },
  instances: {
    path: '/registry-svc/instances',
    list: ({ instances }) => instances.map(({ id, url }: Answer) => ({ text: id, about: url })),
  },
  tokens: {
    path: '/v1/tokens',
    list: ({ tokens }) => tokens.map(({ id, note }: Answer) => ({ text: id, about: note ?? '' })),
  },
  revisions: {
    path: '/v1/history?limit=30',
    list: ({ revisions }) =>
      revisions.map(({ revision, reason, actor }: Answer) => ({ text: `@${revision}`, about: reason || actor })),
  },
};

const scripts = {
  bash: `_oo() {
  local IFS=$'\\n' cur="\${COMP_WORDS[COMP_CWORD]}" line words
  line="\${COMP_LINE:0:COMP_POINT}"
  # Words as the shell would take them, colons and all.
  IFS=' ' read -r -a words <<< "$line"
  [[ "$line" == *' ' ]] && words+=('')
  IFS=$'\\n'
  local last="\${words[\${#words[@]}-1]}"
  COMPREPLY=($("\${words[0]}" completion bash -- "\${words[@]:1}" 2>/dev/null))
  # Bash completes what comes after the last colon only.
  if [[ "$last" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"\${last%:*}:"}")
  fi
}
complete -o default -F _oo oo
`,
  zsh: `#compdef oo
_oo() {
  local -a lines found
  lines=("\${(@f)$("\${words[1]}" completion zsh -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  local line
  for line in $lines; do
    [[ -n "$line" ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}\${\${(M)line:#*$'\\t'*}:+:\${line#*$'\\t'}}")
  done
  if (( \${#found} )); then _describe oo found; else _files; fi
}
compdef _oo oo
`,
  fish: `function __oo_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] completion fish -- $words[2..-1] 2>/dev/null
end
complete -c oo -a '(__oo_complete)'
`,
} as const;
