import http from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BAD_BODY, ChunkedBody, MORE_BODY } from '../../src/http1/chunked.ts';
import { leaveOut } from '../../src/http1/lines.ts';
import { DONE, RequestScanner, ResponseScanner } from '../../src/http1/scan.ts';
import { isTrailerRefused } from '../../src/http1/trailers.ts';
import { mutate, requestSeeds, responseSeeds } from './mutations.ts';
import { clientSees, type Seen, serverSees } from './oracle.ts';
import { bytes, limits, plan, random } from './scanning.ts';

/**
 * What node:http, strict, refuses, we refuse: whatever we accept, it accepts too, and sees the same start line, body and end in it;
 * and it sees the same again in what we would forward. Run more with OO_FUZZ_CASES, repeat a run with OO_FUZZ_SEED.
 */
const oracle = suite('http1 against node:http');

const cases = Number(process.env.OO_FUZZ_CASES ?? 6_000);
const timeLimitMs = cases > 6_000 ? Number.POSITIVE_INFINITY : 8_000;
const firstSeed = Number(process.env.OO_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** A message as we read it, and as it would go on. */
interface Read {
  readonly start: string;
  readonly body: string;
  /** undefined: not to be compared. */
  readonly raw: Buffer | undefined;
  readonly forwarded: Buffer;
}

const latin1 = (...parts: readonly (Uint8Array | null)[]) => Buffer.concat(parts.filter((part) => part !== null));

/** Reads the body behind a head. undefined: it is refused or has no end. */
function readBody(buf: Buffer, at: number, chunked: boolean, length: number) {
  if (!chunked) {
    // A length that reaches past the end is filled up, so that nothing but the head decides.
    const missing = at + length - buf.length;
    if (missing > 10_000) return;
    const body = latin1(buf.subarray(at, at + length), Buffer.alloc(Math.max(0, missing), 'x'));
    return { raw: body, body: body.toString('latin1'), forwarded: body };
  }
  const copy = Buffer.from(buf);
  let framing = false;
  const framed = new ChunkedBody(false, (held, from, to) => {
    framing ||= /^(content-length|transfer-encoding|(proxy-)?connection|upgrade)$/i.test(
      Buffer.from(held).toString('latin1', from, to),
    );
    return isTrailerRefused(held, from, to);
  });
  const end = framed.feed(copy, at, copy.length);
  if (end === BAD_BODY || end === MORE_BODY) return;
  const stripped = new ChunkedBody(true);
  const other = Buffer.from(buf);
  assert.is(stripped.feed(other, at, other.length), end);
  return {
    // llhttp takes trailers for more of the head, and frames and closes by them; we drop them as all that must not be trailers.
    raw: framing ? undefined : buf.subarray(at, end),
    body: other.toString('latin1', stripped.from, stripped.to),
    forwarded: latin1(copy.subarray(framed.from, framed.to), framed.tail),
  };
}

const requests = new RequestScanner(plan, limits);
function readRequest(text: string): Read | undefined {
  let buf = bytes(text);
  if (requests.scan(buf, 0, buf.length) !== DONE) return;
  let { methodStart, methodEnd } = requests;
  // llhttp knows a closed list of methods, so it can't judge others.
  if (!http.METHODS.includes(buf.toString('latin1', methodStart, methodEnd))) {
    buf = latin1(buf.subarray(0, methodStart), bytes('GET'), buf.subarray(methodEnd));
    assert.is(requests.scan(buf, 0, buf.length), DONE);
    ({ methodStart, methodEnd } = requests);
  }
  const { end, targetStart, targetEnd, cuts, cutCount, minor, chunked, contentLength } = requests;
  const body = readBody(buf, end, chunked, Math.max(0, contentLength));
  if (!body) return;
  const head = Buffer.from(buf.subarray(0, end));
  const from = leaveOut(head, methodStart, end, cuts, cutCount);
  const again = new RequestScanner(plan, limits);
  assert.is(again.scan(head, from, end), DONE, 'what goes on is valid');
  assert.equal([again.end, again.cutCount, again.chunked, again.contentLength], [end, 0, chunked, contentLength]);
  return {
    start: `${buf.toString('latin1', methodStart, methodEnd)} ${buf.toString('latin1', targetStart, targetEnd)} HTTP/1.${minor}`,
    body: body.body,
    raw: body.raw && latin1(buf.subarray(0, end), body.raw),
    forwarded: latin1(head.subarray(from), body.forwarded),
  };
}

const responses = new ResponseScanner(plan, limits);
function readResponse(text: string, method: string): Read | undefined {
  const buf = bytes(text);
  const forwarded: Buffer[] = [];
  for (let at = 0; ; at = responses.end) {
    if (responses.scan(buf, at, buf.length) !== DONE) return;
    const { end, status, minor, chunked, contentLength, cuts, cutCount } = responses;
    const head = Buffer.from(buf.subarray(0, end));
    forwarded.push(head.subarray(leaveOut(head, at, end, cuts, cutCount)));
    if (status < 200 && status !== 101) continue;
    const start = `${status} HTTP/1.${minor}`;
    // A 101 is followed by another protocol; the edge takes it only with its Upgrade.
    if (status === 101) return;
    const none = method === 'HEAD' || status === 204 || status === 304;
    const length = none ? 0 : contentLength < 0 ? buf.length - end : contentLength;
    const body = readBody(buf, end, !none && chunked, length);
    if (!body) return;
    return {
      start,
      body: body.body,
      raw: body.raw && latin1(buf.subarray(0, end), body.raw),
      forwarded: latin1(...forwarded, body.forwarded),
    };
  }
}

const next = bytes('GET /next HTTP/1.1\r\nHost: next.test\r\n\r\n');
/** Where the connection stays open, another request follows: a message whose end is seen otherwise would swallow or break it. */
async function requestAndNext(input: Buffer): Promise<Seen | undefined> {
  assert.is(requests.scan(input, 0, input.length), DONE);
  // After an offer of an upgrade node:http reads on only where it was taken or refused by name.
  const upgrade = /^upgrade:/im.test(input.toString('latin1', 0, requests.end));
  if (!requests.keepAlive || requests.minor === 0 || upgrade) return (await serverSees(input))?.[0];
  const seen = await serverSees(latin1(input, next), 2);
  return seen?.[1].start === 'GET /next HTTP/1.1' ? seen[0] : undefined;
}

async function compare(
  read: (text: string) => Read | undefined,
  sees: (input: Buffer) => Promise<Seen | undefined>,
  seeds: readonly string[],
) {
  const from = Date.now();
  let accepted = 0;
  let done = 0;
  for (; done < cases && Date.now() - from < timeLimitMs; done++) {
    const seed = firstSeed + done;
    const text = mutate(random(seed), seeds);
    const ours = read(text);
    if (!ours) continue;
    accepted++;
    for (const [what, input] of [
      ['sent', ours.raw],
      ['forwarded', ours.forwarded],
    ] as const) {
      if (!input) continue;
      const seen = await sees(input);
      const hint = `OO_FUZZ_SEED=${seed}, ${what}: ${JSON.stringify(input.toString('latin1'))} of ${JSON.stringify(text)}`;
      assert.ok(seen, `node:http refuses what we accept. ${hint}`);
      assert.equal([seen!.start, seen!.body], [ours.start, ours.body], `node:http reads it otherwise. ${hint}`);
      if (what === 'forwarded') {
        assert.not(
          seen!.trailers.some((name) => /^(host|content-length|transfer-encoding)$/i.test(name)),
          hint,
        );
      }
    }
  }
  // The mutations are mild enough to leave a share that is valid; without one this test would say nothing.
  assert.ok(accepted > done / 20, `only ${accepted} of ${done} were accepted`);
  assert.ok(accepted < done * 0.9, `${accepted} of ${done} were accepted`);
}

oracle('the seeds are valid to both', async () => {
  for (const text of requestSeeds)
    assert.equal((await serverSees(bytes(text)))?.[0].body, readRequest(text)?.body, text);
  for (const text of responseSeeds)
    assert.equal((await clientSees(bytes(text), 'GET'))?.body, readResponse(text, 'GET')?.body, text);
});
oracle('the oracle refuses what is wrong', async () => {
  for (const text of [
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc',
  ]) {
    assert.is(await serverSees(bytes(text)), undefined, text);
  }
  for (const text of ['HTTP/1.1 200 OK\nA: b\n\n', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc']) {
    assert.is(await clientSees(bytes(text), 'GET'), undefined, text);
  }
});
oracle('requests', () => compare(readRequest, requestAndNext, requestSeeds));
oracle('responses to GET', () =>
  compare(
    (text) => readResponse(text, 'GET'),
    (input) => clientSees(input, 'GET'),
    responseSeeds,
  ),
);
oracle('responses to HEAD', () =>
  compare(
    (text) => readResponse(text, 'HEAD'),
    (input) => clientSees(input, 'HEAD'),
    responseSeeds,
  ),
);

oracle.run();
