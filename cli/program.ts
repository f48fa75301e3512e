import { type CAC, type Command, cac } from 'cac';
import { addApplyCommand } from './apply.ts';
import { nearest, prepare, spell, unmark } from './argv.ts';
import { addAuditCommand } from './audit.ts';
import { addBackupCommands } from './backup.ts';
import { addCertCommands } from './cert.ts';
import { addCompletionCommand } from './completion.ts';
import { addConfigCommand } from './config.ts';
import { addContextCommands } from './context.ts';
import { addDefinitionCommands } from './definition.ts';
import { addDeployCommands } from './deploy.ts';
import { addDiffCommand } from './diff.ts';
import { addDoctorCommand } from './doctor.ts';
import { addEventsCommand } from './events.ts';
import { addExplainCommand } from './explain.ts';
import { addExportCommand } from './export.ts';
import { explain, usageError } from './failure.ts';
import { addHashCommand } from './hash.ts';
import { addHistoryCommand } from './history.ts';
import { addInstanceCommands } from './instance.ts';
import type { Io } from './io.ts';
import { addKeyCommands } from './key.ts';
import { addLoginCommands } from './login.ts';
import { addNodeCommands } from './node.ts';
import { addPauseCommands } from './pause.ts';
import { addRollbackCommand } from './rollback-command.ts';
import { addRouteCommands } from './route.ts';
import { addRouteEditCommand } from './route-edit.ts';
import { addSchemaCommand } from './schema.ts';
import { addServiceCommands } from './service-command.ts';
import { addStatusCommand } from './status.ts';
import { addTokenCommands } from './token.ts';
import { addTrustCommands } from './trust.ts';
import type { TrustHost } from './trust-host.ts';

/** Other words for the nouns, as the seed has them. */
const nouns: Record<string, string> = {
  ...{ routes: 'route', r: 'route', certs: 'cert', ce: 'cert', keys: 'key', tokens: 'token' },
  ...{ contexts: 'context', env: 'context', envs: 'context' },
  ...{ instances: 'instance', i: 'instance', nodes: 'node', n: 'node', definitions: 'definition', def: 'definition' },
};

export interface Program {
  /** Commands are added here: `program.cac.command('serve', '…')`; `noun verb [args]` makes a sub-command. */
  readonly cac: CAC;
  /** Runs the command in these arguments (without node and script). Never rejects. Returns the exit code. */
  run(argv: readonly string[]): Promise<number>;
}

/**
 * The command line, with the commands that need no server of their own. `serve` and `demo` are added by main.
 * Help begins with examples. An unknown command or flag, or a missing argument: exit code 2 and a hint.
 * @param hostOf the machine that `oo trust` changes; default: this one
 */
export function createProgram(io: Io, version: string, hostOf?: () => TrustHost): Program {
  const program = cac('oo');
  addRouteCommands(program, io);
  addRouteEditCommand(program, io);
  addApplyCommand(program, io);
  addDiffCommand(program, io);
  addExportCommand(program, io);
  addHistoryCommand(program, io);
  addSchemaCommand(program, io);
  addDeployCommands(program, io);
  addRollbackCommand(program, io);
  addPauseCommands(program, io);
  addStatusCommand(program, io);
  addExplainCommand(program, io);
  addInstanceCommands(program, io);
  addDefinitionCommands(program, io);
  addNodeCommands(program, io);
  addTokenCommands(program, io);
  addAuditCommand(program, io);
  addBackupCommands(program, io);
  addEventsCommand(program, io);
  addContextCommands(program, io);
  addLoginCommands(program, io);
  addCertCommands(program, io);
  addKeyCommands(program, io);
  addHashCommand(program, io);
  addTrustCommands(program, io, hostOf);
  addConfigCommand(program, io);
  addServiceCommands(program, io);
  addDoctorCommand(program, io);
  addCompletionCommand(program, io, nouns);
  program.help(examplesFirst);
  program.option('-v, --version', 'Show the version');

  async function run(argv: readonly string[]): Promise<number> {
    try {
      // A command that runs another one ends with its code.
      const code = await dispatch(argv);
      return typeof code === 'number' ? code : 0;
    } catch (error) {
      const { lines, exitCode } = explain(fromCac(error, program));
      for (const [i, line] of lines.entries()) io.err(`${i === 0 ? 'oo: ' : '    '}${line}\n`);
      return exitCode;
    }
  }

  async function dispatch(argv: readonly string[]): Promise<unknown> {
    const { words, ...prepared } = prepare(argv, {
      nouns,
      isCommand: (text) => program.commands.some((command) => command.isMatched(text)),
      takesValue: (flag) => optionsOf(program).some((option) => option.required && option.names.includes(flag)),
    });
    const noun = words.length > 0 ? (nouns[words[0]] ?? words[0]) : undefined;
    const verbs = program.commands.filter((command) => command.name.startsWith(`${noun} `));
    const isVerb = program.commands.some((command) => command.isMatched(prepared.argv[0]));
    // cac knows nothing of nouns.
    if (verbs.length > 0 && !isVerb && prepared.argv.some((flag) => flag === '--help' || flag === '-h')) {
      return io.out(nounHelp(verbs));
    }
    program.parse(['node', 'oo', ...prepared.argv], { run: false });
    program.args = unmark(program.args);
    program.options = unmark(program.options);
    if (program.matchedCommand) return program.runMatchedCommand();
    // cac has shown the help by now.
    if (program.options.help) return undefined;
    if (program.options.version && !noun) return io.out(`oo ${version}\n`);
    const unknown = noun ? undefined : unknownFlag(program);
    if (unknown) throw usageError(`oo has no flag ${spell(unknown)}.`, 'See oo --help.');
    if (!noun) return program.globalCommand.outputHelp();
    throw unknownCommand(words, noun, verbs, program);
  }

  return { cac: program, run };
}

/** A flag that no command has. */
function unknownFlag(program: CAC): string | undefined {
  const flags = Object.keys(program.options).filter((flag) => flag !== '--');
  return flags.find((flag) => !optionsOf(program).some((option) => option.names.includes(flag)));
}

function nounHelp(verbs: readonly Command[]): string {
  const width = Math.max(...verbs.map((command) => command.rawName.length));
  const commands = verbs.map(({ rawName, description }) => `${rawName.padEnd(width)}  ${description}`);
  const sections = [
    { title: 'Examples', body: verbs.flatMap(({ examples }) => examples).join('\n') },
    { title: 'Commands', body: commands.join('\n') },
  ];
  return `${sections.map(({ title, body }) => `${title}:\n${indent(body)}`).join('\n\n')}\n`;
}

function indent(body: string): string {
  return body.replace(/^(?! |$)/gm, '  ').replace(/ +$/gm, '');
}

function unknownCommand(words: readonly string[], noun: string, verbs: readonly Command[], program: CAC) {
  if (verbs.length > 0) {
    const names = verbs.map((command) => command.name.slice(noun.length + 1));
    const said = words.length > 1 ? `There is no command 'oo ${noun} ${words[1]}'.` : `oo ${noun} needs a verb.`;
    return usageError(said, `oo ${noun} has: ${names.join(', ')}. See oo ${noun} ${names[0]} --help.`);
  }
  const tops = [...new Set([...program.commands.map((command) => command.name.split(' ')[0]), ...Object.keys(nouns)])];
  const meant = nearest(words[0], tops);
  return usageError(`There is no command 'oo ${words[0]}'.`, meant ? `Did you mean oo ${meant}?` : 'See oo --help.');
}

/** cac's complaints, in our words and with exit code 2; other errors as they are. */
function fromCac(error: unknown, program: CAC): unknown {
  if (!(error instanceof Error) || error.name !== 'CACError') return error;
  const command = program.matchedCommand;
  const help = `See oo ${command?.name ?? ''} --help.`;
  const flag = /^Unknown option `-{1,2}(.+)`$/.exec(error.message)?.[1];
  if (flag !== undefined) {
    const known = [...(command?.options ?? []), ...program.globalCommand.options].flatMap((option) => option.names);
    const meant = nearest(flag, known);
    const hint = meant ? `Did you mean ${spell(meant)}? ${help}` : help;
    return usageError(`oo ${command?.name} has no flag ${spell(flag)}.`, hint);
  }
  const message = error.message.replaceAll('\0', '').replaceAll('`', "'");
  return usageError(`${message[0].toUpperCase()}${message.slice(1)}.`, help);
}

function optionsOf(program: CAC) {
  return [...program.globalCommand.options, ...program.commands.flatMap((command) => command.options)];
}

interface Section {
  title?: string;
  body: string;
}

/** Examples on top; no list of "for more info" lines, one for each command. */
function examplesFirst(sections: Section[]): Section[] {
  const kept = sections
    .filter(({ title }) => title !== undefined && !title.startsWith('For more info'))
    .map(({ title, body }) => ({ title, body: indent(body) }));
  const examples = kept.filter(({ title }) => title === 'Examples');
  return [...examples, ...kept.filter(({ title }) => title !== 'Examples')];
}
