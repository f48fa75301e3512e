import type { Message } from '../../helpers/message.ts';
import { type Origin, reply, startOrigin } from '../../helpers/origin.ts';
import { type Ask, ask, type Group, hold, limit, see } from '../check.ts';
import { type CheckRoute, embeddings, type Subject } from '../runtime.ts';

/** Sends one request to an origin behind the subject. @returns it as the origin got it, and the origin */
async function sent(subject: Subject, options: Ask, route: Partial<CheckRoute> = {}): Promise<[Message, Origin]> {
  const origin = await startOrigin(() => reply('ok'));
  await subject.use({ id: 'app.test', target: origin.target, ...route });
  const answer = await ask(subject, '/', options);
  hold(origin.requests.length === 1, `no request at the origin; answered ${answer.status} ${answer.text}`);
  return [origin.requests[0], origin];
}

const listed = (request: Message, name: string) => (request.get(name) ?? '').split(', ');

export const requestFields: Group = {
  title: 'Request fields',
  checks: [
    {
      name: "the client's Host reaches the target",
      async run(subject) {
        const [request] = await sent(subject, { host: 'App.test:8080' });
        see(request.get('host'), 'App.test:8080', 'Host');
      },
      cannot: limit("its fetch puts the target into Host; X-Forwarded-Host has the client's", /Host: "127/, 'workerd'),
    },
    {
      name: "the target's own Host, where the route says so",
      async run(subject) {
        const [request, origin] = await sent(subject, {}, { hostHeader: 'upstream' });
        see(request.get('host'), `127.0.0.1:${origin.port}`, 'Host');
      },
    },
    {
      name: 'X-Forwarded-Host, -Proto and -Port, and Via, in place of what a client says of itself',
      async run(subject) {
        const lies = ['Host', 'Proto', 'Port', 'Prefix'].map((name) => `X-Forwarded-${name}: lie\r\n`).join('');
        const [request] = await sent(subject, { host: 'app.test:8080', fields: `${lies}Forwarded: for=lie\r\n` });
        const names = ['x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-forwarded-prefix', 'forwarded'];
        see(
          names.map((name) => request.get(name) ?? null),
          ['app.test:8080', 'http', '8080', null, null],
          'forwarded fields',
        );
        see(request.get('via'), '1.1 oo', 'Via');
      },
    },
    {
      name: "X-Forwarded-For and X-Real-IP have the client's address",
      async run(subject) {
        const [request] = await sent(subject, { fields: 'X-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n' });
        const told = [request.get('x-forwarded-for') ?? '', request.get('x-real-ip') ?? ''];
        see(told, ['127.0.0.1', '127.0.0.1'], 'the address');
      },
      cannot: limit('it tells no address of the client; `clientIp` has to', /the address: \["",""\]/, 'workerd'),
    },
    {
      name: 'fields for one connection end here, and those that Connection names',
      async run(subject) {
        const fields = [
          'Connection: keep-alive, X-Secret',
          ...[
            'X-Secret: 1',
            'Keep-Alive: timeout=5',
            'TE: trailers',
            'Proxy-Authorization: x',
            'Proxy: x',
            'X-Kept: 1',
          ],
        ];
        const [request] = await sent(subject, { fields: fields.map((line) => `${line}\r\n`).join('') });
        const names = ['x-secret', 'keep-alive', 'te', 'proxy-authorization', 'proxy', 'x-kept'];
        see(
          names.filter((name) => request.get(name) !== undefined),
          ['x-kept'],
          'fields that came',
        );
        hold(!/x-secret/i.test(request.get('connection') ?? ''), `Connection: ${request.get('connection')}`);
      },
    },
    {
      name: 'repeated fields keep all values, in order',
      async run(subject) {
        const [request] = await sent(subject, { fields: 'X-A: 1\r\nX-B: z\r\nX-A: 2, 3\r\nX-A: 4\r\n' });
        see(listed(request, 'x-a'), ['1', '2', '3', '4'], 'X-A');
      },
    },
    {
      name: 'cookies reach the target, each once',
      async run(subject) {
        const [request] = await sent(subject, { fields: 'Cookie: a=1; b="x,y"\r\n' });
        see(request.get('cookie'), 'a=1; b="x,y"', 'Cookie');
      },
    },
    {
      name: 'values of bytes beyond ASCII reach the target unchanged',
      async run(subject) {
        const [request] = await sent(subject, { fields: 'X-Latin: \u00e4\u00f6\r\n' });
        see(request.get('x-latin'), '\u00e4\u00f6', 'X-Latin');
      },
      cannot: limit('it takes fields for UTF-8, and replaces what is not', /X-Latin: "\u00ef\u00bf\u00bd/, 'workerd'),
    },
    {
      name: 'authorization, conditions, ranges and what a client takes reach the target as sent',
      async run(subject) {
        const fields = {
          authorization: 'Bearer a.b',
          'if-none-match': '"x", W/"y"',
          range: 'bytes=0-3',
          accept: 'text/html;q=0.5, */*;q=0.1',
          'accept-language': 'de-AT, en;q=0.5',
          'user-agent': 'check/1',
          referer: 'http://x.test/?a',
          origin: 'http://x.test',
          'sec-fetch-site': 'cross-site',
          'cache-control': 'max-age=0',
        };
        const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
        const [request] = await sent(subject, { fields: lines.join('') });
        const got = Object.fromEntries(Object.keys(fields).map((name) => [name, request.get(name)]));
        see(got, fields, 'fields');
      },
    },
    {
      name: 'no field is added beside those that forwarding adds',
      async run(subject) {
        const [request] = await sent(subject, {});
        const known = /^(?:host|via|x-request-id|x-real-ip|x-forwarded-.*|connection|content-length)$/;
        const added = request.fields.map(([name]) => name.toLowerCase()).filter((name) => !known.test(name));
        see(added.sort(), [], 'fields added');
      },
      cannot: {
        ...limit(
          'its fetch adds Accept and User-Agent where the client sent none',
          /added: \["accept","user-agent"\]/,
          'bun',
        ),
        ...limit(
          'its fetch adds Accept, Accept-Encoding, Accept-Language and User-Agent where the client sent none',
          /added: \["accept","accept-encoding","accept-language","user-agent"\]/,
          'deno',
        ),
      },
    },
    {
      name: 'Accept-Encoding reaches the target as the client sent it',
      async run(subject) {
        const [request] = await sent(subject, { fields: 'Accept-Encoding: gzip, br;q=0.5\r\n' });
        see(request.get('accept-encoding'), 'gzip, br;q=0.5', 'Accept-Encoding');
      },
      cannot: limit(
        'it is `identity`: else its fetch would take codings off, and say nothing of it',
        /Accept-Encoding: "identity"/,
        'deno',
      ),
    },
    {
      name: 'odd methods reach the target: PATCH, DELETE with a body, PROPFIND, OPTIONS, M-SEARCH',
      async run(subject) {
        const origin = await startOrigin(({ line, text }) => reply(`${line.split(' ')[0]} ${text}`));
        await subject.use({ id: 'app.test', target: origin.target });
        const asked: [string, string?][] = [
          ['PATCH', 'p'],
          ['DELETE', 'd'],
          ['PROPFIND', '<x/>'],
          ['OPTIONS'],
          ['PUT', ''],
        ];
        for (const [method, body] of [...asked, ['M-SEARCH'] as [string, string?]]) {
          const answer = await ask(subject, '/', { method, body });
          see([answer.status, answer.text], [200, `${method} ${body ?? ''}`], method);
        }
      },
      cannot: limit('methods that it does not know (M-SEARCH) it answers with 501', /M-SEARCH: \[501,/, 'workerd'),
    },
    {
      name: 'TRACE and CONNECT are not forwarded',
      async run(subject) {
        const origin = await startOrigin(() => reply('ok'));
        await subject.use({ id: 'app.test', target: origin.target });
        const answer = await ask(subject, '/', { method: 'TRACE' });
        hold(answer.status >= 400 && answer.status < 600, `answered ${answer.status}`);
        await ask(subject, 'app.test:80', { method: 'CONNECT', ms: 1_000 }).catch(() => {});
        see(origin.requests.length, 0, 'requests at the origin');
      },
    },
    {
      name: 'a GET with a body',
      async run(subject) {
        const [request] = await sent(subject, { body: 'x' });
        see([request.line, request.text], ['GET / HTTP/1.1', 'x'], 'the request');
      },
      cannot: limit(
        'a Request has no body then; refused with 400 OO_BAD_FRAMING',
        /answered 400 .*OO_BAD_FRAMING/,
        ...embeddings,
      ),
    },
  ],
};
