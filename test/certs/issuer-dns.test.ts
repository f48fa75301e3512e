import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DnsHookError, runDnsHook } from '../../src/certs/dns-hook.ts';
import { startPebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';
import { contextOf, failureOf, issue, issuerOf, requestFor, startAnswers } from './issuer-kit.ts';

const pebble = await startPebble();
const answers = await startAnswers(pebble);
const record = { domain: 'example.com', token: 'tok-EN_1', value: 'va-LU_e' };

function script(body: string): string {
  const file = join(temporary(), 'hook.sh');
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
}

/** Publishes at pebble's DNS server, and notes what it was called with. */
function publishing(): { file: string; calls: () => string[] } {
  const log = join(temporary(), 'calls');
  const api = `curl -sS -f --max-time 5 -o /dev/null ${pebble.dnsApi}`;
  const file = script(`
    echo "$1 $2 $3 $4" >> ${log}
    case $1 in
      present) ${api}/set-txt -d "{\\"host\\":\\"$2.\\",\\"value\\":\\"$4\\"}" ;;
      cleanup) ${api}/clear-txt -d "{\\"host\\":\\"$2.\\"}" ;;
    esac`);
  return { file, calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []) };
}

const dns = suite('issuer: dns-01');

dns('a wildcard and its domain in one order', async () => {
  const hook = publishing();
  const one = issuerOf(pebble, { dnsHook: hook.file, challenges: ['dns-01'] });
  const certificate = await issue(one, ['*.example.com', 'example.com'], answers);
  assert.equal(certificate.names, ['*.example.com', 'example.com']);
  assert.is(certificate.id, '*.example.com');
  assert.match(new X509Certificate(certificate.chain).subjectAltName!, /DNS:\*\.example\.com/);
  const actions = hook.calls().map((call) => call.split(' ').slice(0, 2).join(' '));
  const name = '_acme-challenge.example.com';
  assert.equal(actions, [`present ${name}`, `present ${name}`, `cleanup ${name}`, `cleanup ${name}`]);
  assert.is(answers.ever.length, 0);
});

dns('a wildcard by dns-01, the other name by http-01, where that is preferred', async () => {
  const hook = publishing();
  await issue(issuerOf(pebble, { dnsHook: hook.file }), ['a.example.net', '*.a.example.net'], answers);
  assert.equal(
    answers.ever.map(({ type, name }) => `${type} ${name}`),
    ['http-01 a.example.net'],
  );
  assert.is(hook.calls().length, 2);
});

dns('that a wildcard went by DNS does not make others go by it', async () => {
  const hook = publishing();
  const one = issuerOf(pebble, { dnsHook: hook.file });
  await issue(one, ['*.w.example.net'], answers);
  answers.ever.length = 0;
  await issue(one, ['plain.example.net'], answers);
  assert.equal(
    answers.ever.map(({ type }) => type),
    ['http-01'],
  );
});

dns('a wildcard without a hook: said before the CA is asked', async () => {
  const context = contextOf(answers);
  const failure = await failureOf(issuerOf(pebble).issue(requestFor(['*.example.org']), context));
  assert.match(failure.message, /wildcard \*\.example\.org can be proven by dns-01 only/);
  assert.match(failure.hint, /--acme-dns-hook/);
  assert.equal(context.steps, []);
});

dns('a hook that fails: what it wrote is in the error, and it cleans up', async () => {
  const log = join(temporary(), 'calls');
  const file = script(`echo $1 >> ${log}; echo "no such zone" >&2; exit 3`);
  const context = contextOf(answers);
  const one = issuerOf(pebble, { dnsHook: file });
  const failure = await failureOf(one.issue(requestFor(['*.b.example.org']), context));
  assert.is(failure.step, 'challenge');
  assert.match(
    failure.message,
    /present _acme-challenge\.b\.example\.org failed \(exit code 3\); it wrote: no such zone/,
  );
  assert.is(readFileSync(log, 'utf8'), 'present\ncleanup\n');
  assert.match(context.steps.at(-1)!.detail, /could not take the dns-01 answer down: .*no such zone/);
});

dns('a hook that publishes nothing: the CA says what it saw', async () => {
  const failure = await failureOf(issue(issuerOf(pebble, { dnsHook: script('exit 0') }), ['*.c.example.org'], answers));
  assert.is(failure.step, 'authorization');
  assert.match(failure.message, /^\*\.c\.example\.org: dns-01: /);
  assert.match(failure.hint, /TXT record/);
});

dns('arguments and environment say the same; secrets are not passed on', async () => {
  const out = join(temporary(), 'out');
  const variables = ['ACTION', 'DOMAIN', 'NAME', 'TOKEN', 'VALUE'].map((name) => `$OO_DNS_${name}`).join(' ');
  process.env.OO_ENCRYPTION_KEY = 'secret';
  try {
    const file = script(`echo "$# $1 $2 $3 $4 ${variables} [$OO_ENCRYPTION_KEY]" > ${out}`);
    await runDnsHook(file, 'present', record, { timeoutMs: 10_000 });
  } finally {
    delete process.env.OO_ENCRYPTION_KEY;
  }
  const args = 'present _acme-challenge.example.com tok-EN_1 va-LU_e';
  const expected = `4 ${args} present example.com _acme-challenge.example.com tok-EN_1 va-LU_e []\n`;
  assert.is(readFileSync(out, 'utf8'), expected);
});

dns('a hook that hangs is ended, with all that it has started', async () => {
  const pid = join(temporary(), 'pid');
  const hang = script(`echo waiting; sleep 300 & echo $! > ${pid}; wait`);
  const failure = await refused(runDnsHook(hang, 'present', record, { timeoutMs: 300 }));
  assert.match(failure.message, /did not end within 0\.3 s; it wrote: waiting/);
  await until(() => !runs(Number(readFileSync(pid, 'utf8'))), 'the end of what the hook has started');
});

dns('a hook that ignores SIGTERM is killed', async () => {
  const stubborn = script('trap "" TERM; while :; do sleep 0.05; done');
  const failure = await refused(runDnsHook(stubborn, 'present', record, { timeoutMs: 200 }));
  assert.match(failure.message, /did not end within 0\.2 s/);
});

dns('a hook that is not there, or not executable', async () => {
  const failure = await refused(runDnsHook('/nowhere/hook', 'present', record, { timeoutMs: 1_000 }));
  assert.match(failure.message, /cannot be run: .*ENOENT/);
  assert.match(failure.hint, /chmod \+x/);
  const file = join(temporary(), 'plain');
  writeFileSync(file, 'exit 0', { mode: 0o644 });
  assert.match((await refused(runDnsHook(file, 'present', record, { timeoutMs: 1_000 }))).message, /EACCES/);
});

dns('an abort ends the hook; it still cleans up', async () => {
  const log = join(temporary(), 'calls');
  const file = script(`echo $1 >> ${log}; test $1 = cleanup || sleep 60`);
  const aborting = new AbortController();
  const one = issuerOf(pebble, { dnsHook: file });
  const failing = failureOf(
    one.issue(requestFor(['*.d.example.org']), contextOf(answers, { signal: aborting.signal })),
  );
  await until(() => existsSync(log), 'the hook to run');
  aborting.abort();
  assert.match((await failing).message, /stopped/);
  assert.is(readFileSync(log, 'utf8'), 'present\ncleanup\n');
});

async function refused(promise: Promise<unknown>): Promise<DnsHookError> {
  try {
    await within(promise, 'the end of the hook', 10_000);
  } catch (error) {
    if (error instanceof DnsHookError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

function runs(pid: number): boolean {
  try {
    // A zombie whose parent is gone is not running.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

dns.run();
