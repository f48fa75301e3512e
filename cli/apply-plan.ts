import type { Applied, ApplyRequest } from '../src/admin/resources.ts';
import type { Impact } from '../src/core/impact.ts';
import type { Caller } from './client.ts';
import { type ConfigFiles, type KindFault, placeFault, readConfig } from './config-files.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import type { Progress } from './progress.ts';
import { faultsFound, sourcesOf } from './route-files.ts';

/** The flags that say what a configuration from files is to do. */
export interface ApplyFlags {
  readonly owner?: unknown;
  readonly prune?: boolean;
}

/** What an apply answers; `impact` only where nothing was done. */
export type Outcome = Applied & { readonly impact?: Impact };

/**
 * What the paths of a command line hold, as it is sent.
 * @throws CliError after showing each fault with its place
 */
export async function configOfPaths(
  io: Io,
  paths: readonly string[],
  flags: ApplyFlags,
  progress: Progress,
): Promise<ConfigFiles> {
  const given = flags.owner;
  if (Array.isArray(given)) throw usageError('--owner is given more than once.', 'All of one apply has one owner.');
  progress.step(`reading ${paths.join(', ')}`);
  const read = await readConfig(await sourcesOf(io, paths));
  if ('faults' in read) {
    progress.end();
    throw faultsFound(io, read.faults);
  }
  const owner = given === undefined ? read.request.owner : String(given);
  if (flags.prune && owner === undefined) {
    const hint = 'Only what the same owner made is removed: give --owner NAME, or owner: in a file.';
    throw usageError('--prune needs an owner.', hint);
  }
  const { routes = [], services = [], certificates = [], settings } = read.request;
  const isEmpty = routes.length + services.length + certificates.length === 0 && settings === undefined;
  if (isEmpty && !flags.prune) {
    const hint = 'Expected routes, services, settings or certificates; of a directory, .yaml, .yml and .json are read.';
    throw new CliError(`There is nothing to apply in ${paths.join(', ')}.`, { hint });
  }
  const request: ApplyRequest = {
    ...read.request,
    ...(owner !== undefined && { owner }),
    ...(flags.prune && { prune: true }),
  };
  return { ...read, request };
}

export interface SendOptions {
  readonly dryRun: boolean;
  readonly reason?: string;
  readonly ifMatch?: number;
}

/** Sends it. What the server finds wrong is shown with its place in the files. @throws CliError */
export async function sendApply(
  io: Io,
  call: Caller,
  { request, items }: ConfigFiles,
  { dryRun, reason, ifMatch }: SendOptions,
  progress: Progress,
): Promise<Outcome> {
  const count = (request.routes?.length ?? 0) + (request.services?.length ?? 0);
  progress.step(`the server proves ${dryRun ? '' : 'and stores '}${count.toLocaleString('en')} routes and services`);
  const heads = ifMatch === undefined ? undefined : { send: { 'if-match': `"${ifMatch}"` } };
  const body = { ...request, ...(reason !== undefined && { reason }) };
  try {
    const path = dryRun ? '/v1/apply?dryRun=true' : '/v1/apply';
    const outcome = (await call('POST', path, body, undefined, heads)) as Outcome;
    if (!dryRun || outcome.certificates.length === 0) return outcome;
    return withoutKept(outcome, request, await keptCertificates(call));
  } catch (error) {
    const { faults } = error as CliError;
    const placed = (faults as readonly KindFault[] | undefined)?.filter(isPlaced(items)) ?? [];
    if (placed.length === 0 || placed.length < (faults?.length ?? 0)) throw error;
    progress.end();
    throw faultsFound(io, await Promise.all(placed.map((fault) => placeFault(fault, items))));
  } finally {
    progress.end();
  }
}

function isPlaced(items: ConfigFiles['items']) {
  return ({ kind, index = 0 }: KindFault) => items[kind as keyof ConfigFiles['items']]?.[index] !== undefined;
}

/** A dry run names all certificates of the request: those that are served already would change nothing. */
function withoutKept(outcome: Outcome, { certificates: given = [] }: ApplyRequest, kept: Map<string, string>): Outcome {
  const isNew = (id: string, i: number) => {
    const [served, own] = [blocksOf(kept.get(id) ?? ''), blocksOf(given[i]?.cert ?? '')];
    return served.length === 0 || !served.every((block, at) => block === own[at]);
  };
  const certificates = outcome.certificates.filter(isNew);
  return { ...outcome, certificates, unchanged: outcome.unchanged + outcome.certificates.length - certificates.length };
}

/** PEM by id; nothing where the caller may not see them. */
async function keptCertificates(call: Caller): Promise<Map<string, string>> {
  try {
    const { certs } = (await call('GET', '/v1/certs')) as { certs: { id: string; cert?: string; source?: string }[] };
    return new Map(certs.flatMap(({ id, cert, source }) => (cert && source === 'saved' ? [[id, cert]] : [])));
  } catch (error) {
    if (error instanceof CliError) return new Map();
    throw error;
  }
}

function blocksOf(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => block.replace(/\s+/g, ''));
}
