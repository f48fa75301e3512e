import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSea } from 'node:sea';
import { promisify } from 'node:util';
import type { CAC } from 'cac';
import { CliError, usageError } from './failure.ts';
import { flagOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { printable } from './output.ts';
import { type UnitOptions, unitEnvironment, unitName, unitPath, unitStateDir, unitText } from './service-unit.ts';

/** What `oo service` touches of the machine: replaced by tests. */
export interface ServiceHost {
  readonly isRoot: boolean;
  /** The executable that runs now, where it is one file; undefined where it runs from source. */
  readonly executable: string | undefined;
  /** Whether systemd is what runs the machine. */
  readonly hasSystemd: boolean;
  read(path: string): string | undefined;
  write(path: string, text: string): void;
  remove(path: string): void;
  /** @throws Error with what it said */
  systemctl(...words: string[]): Promise<string>;
}

interface Options {
  readonly dryRun?: boolean;
  readonly user?: unknown;
}

/** More than `oo serve` takes to drain by default, s. */
const stopSeconds = 45;

/** `oo service install|uninstall`. @param hostOf default: this machine */
export function addServiceCommands(program: CAC, io: Io, hostOf: () => ServiceHost = thisMachine): void {
  program
    .command('service install [...flags]', 'Run oo serve as a systemd service, from now on and after each boot')
    .example('oo service install --dry-run                          # print the unit, change nothing')
    .example('sudo oo service install')
    .example('sudo oo service install --user www-data -- --email ops@example.com --access-log /var/log/oo.log')
    .option('--dry-run', 'Print what would be done')
    .option('--user <NAME>', 'Run as this user (default: one that systemd makes for it)')
    .action((flags: string[], options: Options) => install(io, flags, options, hostOf()));
  program
    .command('service uninstall', 'Stop the service and take it out again; its state directory stays')
    .example('sudo oo service uninstall')
    .option('--dry-run', 'Print what would be done')
    .action((options: Options) => uninstall(io, options, hostOf()));
}

async function install(io: Io, flags: readonly string[], options: Options, host: ServiceHost): Promise<void> {
  const text = unitText(unitOptions(flags, options, host));
  const steps = ['daemon-reload', `enable ${unitName}`, `restart ${unitName}`];
  if (options.dryRun) {
    io.err(`Would write ${unitPath}, then: ${steps.map((step) => `systemctl ${step}`).join(', ')}\n`);
    return io.out(text);
  }
  demandRights(host);
  const before = host.read(unitPath);
  host.write(unitPath, text);
  for (const step of steps) await host.systemctl(...step.split(' '));
  const said = before === undefined ? 'installed' : before === text ? 'unchanged' : 'updated';
  io.out(`${said} ${unitPath}; oo runs, and will after each boot\n`);
  io.err(
    `Its commands: OO_STATE_DIR=${unitStateDir} oo route ls (as root), or: oo context add service ${unitStateDir}\n`,
  );
  io.err(`Secrets such as OO_DB_TOKEN go into ${unitEnvironment}, mode 0600. Its log: journalctl -u ${unitName}\n`);
}

async function uninstall(io: Io, options: Options, host: ServiceHost): Promise<void> {
  const steps = [`disable --now ${unitName}`, 'daemon-reload'];
  if (options.dryRun) return io.out(`systemctl ${steps[0]}, rm ${unitPath}, systemctl ${steps[1]}\n`);
  demandRights(host);
  if (host.read(unitPath) === undefined) return io.out(`There is no ${unitPath}.\n`);
  await host.systemctl(...steps[0].split(' '));
  host.remove(unitPath);
  await host.systemctl(...steps[1].split(' '));
  io.out(`removed ${unitPath}; what oo knows stays in ${unitStateDir}\n`);
}

function unitOptions(flags: readonly string[], options: Options, { executable }: ServiceHost): UnitOptions {
  const user = flagOf(options as Record<string, unknown>, 'user', (text) => {
    if (/^[a-z_][a-z0-9_-]{0,31}$/i.test(text)) return text;
    throw new RangeError('the name of a user');
  });
  const odd = flags.find((flag) => /[\n\r\0]/.test(flag));
  if (odd !== undefined) throw usageError(`'${printable(odd)}' can't stand in a unit.`, 'Leave line ends out.');
  if (flags.length > 0 && !flags[0].startsWith('-'))
    throw usageError(
      `'${printable(flags[0])}' is no flag of oo serve.`,
      'Give them after --: oo service install -- --http-port 8080',
    );
  return { executable: executable ?? `/usr/local/bin/${unitName}`, flags, user, stopSeconds };
}

function demandRights({ isRoot, hasSystemd, executable }: ServiceHost): void {
  if (!hasSystemd)
    throw new CliError('systemd does not run this machine.', {
      hint: 'oo service install --dry-run prints the unit; with another init, have it run: oo serve',
    });
  if (!isRoot) throw new CliError("This needs root's rights.", { hint: 'Run it with sudo.', exitCode: 4 });
  if (executable === undefined)
    throw new CliError('oo runs from its source here.', {
      hint: 'Build it (npm run build), and run dist/oo service install.',
    });
}

function thisMachine(): ServiceHost {
  return {
    isRoot: process.getuid?.() === 0,
    executable: isSea() ? process.execPath : undefined,
    hasSystemd: existsSync('/run/systemd/system'),
    read: (path) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined),
    write(path, text) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    },
    remove: (path) => rmSync(path, { force: true }),
    async systemctl(...words) {
      try {
        const { stdout } = await promisify(execFile)('systemctl', words, { timeout: 120_000 });
        return stdout;
      } catch (error) {
        const { stderr = '', message } = error as { stderr?: string; message: string };
        const hint = `Its log may say more: journalctl -u ${unitName}`;
        throw new CliError(`systemctl ${words.join(' ')}: ${printable(stderr.trim() || message)}`, {
          hint,
          cause: error,
        });
      }
    },
  };
}
