import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { parseTarget } from '../core/target.ts';
import type { Instance, Refusal, Registration } from './types.ts';

/** How long an instance lives after a heartbeat where it does not say: three heartbeats of 30 s. */
export const defaultTtlMs = 90_000;
const ttlSeconds = { least: 5, most: 86_400 };
const most = { weight: 1_000, priority: 100, tags: 32, text: 256, url: 2_048 };

const slugForm = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const idForm = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
/** Visible, one line. */
const textForm = /^[^\p{C}\p{Zl}\p{Zp}]*$/u;

/** An instance that nothing else is known of yet. */
export type Registered = Omit<Instance, 'nodeUrl' | 'createdAt'>;

export function isRefusal(result: object): result is Refusal {
  return 'fault' in result;
}

/** @returns undefined if it can be a service's name */
export function slugFault(slug: unknown): Refusal | undefined {
  if (typeof slug === 'string' && slugForm.test(slug)) return undefined;
  const fault = 'is not a service name; expected 1 to 63 lower case letters, digits and inner hyphens';
  return { code: 'invalid', field: 'slug', fault, hint: 'Name it as in its path, such as user-svc.' };
}

/** Proves a registration and brings it to normal form. What it lets out gets its default. */
export function parseRegistration(slug: string, request: Registration): Registered | Refusal {
  // A path in it would take the port along: `a/b` with port 5 is no `a/b:5`.
  if (/[/\\]/.test(request.host ?? ''))
    return refuse('host', 'is more than a host; expected a name or an address, the path in its own field');
  const target = parseTarget(addressOf(request));
  const field = request.url === undefined || request.url === '' ? (request.host ? 'host' : 'ip') : 'url';
  if (typeof target === 'string') return refuse(field, target);
  if (target.href.length > most.url) return refuse(field, `is longer than ${most.url} characters`);
  const scheme = target.href.slice(0, target.href.indexOf(':'));
  const address = { url: target.href, scheme, host: target.hostname, port: target.port, path: target.basePath };
  const fault = disagreement(request, address) ?? faultOfRest(request);
  if (fault !== undefined) return fault;
  const { id = '', deploymentId = '', ip = '', tags = [], weight = 1, priority = 0 } = request;
  return {
    ...address,
    id: id === '' ? instanceId(slug, target.href) : id,
    slug,
    ip: isIP(target.hostname) === 0 ? ip : target.hostname,
    deploymentId,
    tags: Object.freeze([...tags]),
    ttlMs: request.ttlSeconds === undefined ? defaultTtlMs : request.ttlSeconds * 1_000,
    weight,
    priority,
  };
}

/** The same slug and url have the same id on every server, so that one instance is one row. */
function instanceId(slug: string, url: string): string {
  return `inst_${createHash('sha256').update(`${slug}\n${url}`).digest('hex').slice(0, 20)}`;
}

function addressOf({ url, scheme, host, ip, port, path }: Registration): string {
  if (url !== undefined && url !== '') return url;
  const name = host || ip;
  if (!name) return '';
  const authority = isIP(name) === 6 ? `[${name}]` : name;
  const base = path === undefined || path === '' || path.startsWith('/') ? (path ?? '') : `/${path}`;
  return `${scheme || 'http'}://${authority}${port ? `:${port}` : ''}${base}`;
}

/** Parts that say otherwise than the url: one of them is a mistake, and nobody knows which. */
function disagreement(request: Registration, address: Pick<Instance, 'url' | 'scheme' | 'host' | 'port' | 'path'>) {
  const { url, ip } = request;
  if (ip && isIP(ip) === 0) return refuse('ip', 'is not an address; expected an IPv4 or IPv6 address');
  if (url === undefined || url === '') return undefined;
  // What the parts say is compared in normal form, too: `Localhost` is `localhost`.
  const parts = {
    scheme: request.scheme || address.scheme,
    host: request.host || address.host,
    port: request.port || address.port,
    path: request.path === undefined || request.path === '' ? address.path : request.path,
  };
  const target = parseTarget(addressOf(parts));
  if (typeof target !== 'string' && target.href === address.url) return undefined;
  const fields = (['scheme', 'host', 'port', 'path'] as const).filter((name) => request[name]);
  return refuse(fields[0], `says otherwise than the url ${address.url}; expected only one of them`);
}

function faultOfRest(request: Registration): Refusal | undefined {
  const { id, deploymentId, tags, ttlSeconds: ttl, weight, priority } = request;
  if (id && !idForm.test(id)) return refuse('id', 'is no id; expected up to 128 letters, digits and ._:-');
  if (deploymentId !== undefined && !isText(deploymentId))
    return refuse('deploymentId', `is no id; expected one line of up to ${most.text} characters`);
  if (tags !== undefined && !(Array.isArray(tags) && tags.length <= most.tags && tags.every(isText)))
    return refuse('tags', `is no list of tags; expected up to ${most.tags} of up to ${most.text} characters`);
  if (ttl !== undefined && !(ttl >= ttlSeconds.least && ttl <= ttlSeconds.most))
    return refuse('ttlSeconds', `is out of range; expected ${ttlSeconds.least} to ${ttlSeconds.most} seconds`);
  if (weight !== undefined && !isInteger(weight, 1, most.weight))
    return refuse('weight', `is out of range; expected a whole number from 1 to ${most.weight}`);
  if (priority !== undefined && !isInteger(priority, 0, most.priority))
    return refuse('priority', `is out of range; expected a whole number from 0 to ${most.priority}`);
  return undefined;
}

function isText(text: unknown): boolean {
  return typeof text === 'string' && text.length <= most.text && textForm.test(text);
}

function isInteger(value: number, least: number, highest: number): boolean {
  return Number.isInteger(value) && value >= least && value <= highest;
}

function refuse(field: string, fault: string): Refusal {
  return { code: 'invalid', field, fault, hint: 'Correct it and register again.' };
}
