import http2 from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryStorage } from '../../src/embed/certificate-memory.ts';
import type { CertificateNews, CertificateStorage } from '../../src/node.ts';
import { makeCertificate, makeRsaCertificate } from '../helpers/certificate.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { answerOf } from '../helpers/http2.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { get, listening, loopback } from './kit.ts';

const secure = suite('HTTPS of the edge as a library');
secure.after.each(cleanUp);

const both = { http: loopback, https: loopback } as const;

secure("serves the embedder's certificate, and plain HTTP leads there", async () => {
  const origin = await startOrigin(() => reply('hello'));
  const own = makeCertificate('DNS:app.example.com');
  const { edge, httpPort, httpsPort } = await listening([{ id: 'app.example.com', target: origin.target }], {
    ...both,
    certificates: { own: [own] },
  });
  const headers = { host: 'app.example.com' };
  const got = await get({ port: httpsPort, ca: own.cert, servername: 'app.example.com', headers });
  assert.is(got.text, 'hello');
  assert.is(origin.requests[0].get('x-forwarded-proto'), 'https');
  const plain = await get({ port: httpPort, path: '/x', headers: { host: `app.example.com:${httpPort}` } });
  assert.is(plain.status, 301);
  assert.is(plain.headers.location, `https://app.example.com:${httpsPort}/x`);
  const [{ id, served, source }] = edge.certificates();
  assert.equal({ id, served, source }, { id: 'app.example.com', served: true, source: 'saved' });
});

secure('takes other certificates of one while it runs', async () => {
  const origin = await startOrigin(() => reply('hello'));
  const [first, second, third] = [
    makeCertificate('DNS:a.example.com'),
    makeCertificate('DNS:a.example.com'),
    makeRsaCertificate('DNS:b.example.com'),
  ];
  const { edge, httpsPort } = await listening([{ id: '*', target: origin.target }], {
    ...{ http: null, https: loopback, certificates: { own: [first] } },
  });
  const ask = (ca: string, name: string) => get({ port: httpsPort, ca, servername: name, headers: { host: name } });
  assert.is((await ask(first.cert, 'a.example.com')).text, 'hello');
  await edge.setCertificates([second, third]);
  assert.is((await ask(second.cert, 'a.example.com')).text, 'hello');
  assert.is((await ask(third.cert, 'b.example.com')).text, 'hello');
  await edge.setCertificates([third]);
  const gone = await ask(second.cert, 'a.example.com').then(
    () => null,
    (error) => error,
  );
  assert.ok(gone !== null, 'no certificate for it is left');
  const wrong = await edge.setCertificates([{ cert: first.cert, key: second.key }]).then(
    () => null,
    (error) => error,
  );
  assert.instance(wrong, TypeError);
  assert.is((await ask(third.cert, 'b.example.com')).text, 'hello');
});

secure('local names get theirs from a CA of its own; HTTP/2 is spoken', async () => {
  const origin = await startOrigin(() => reply('hello'));
  const news: string[] = [];
  const hooks = { onCertificate: ({ type, id }: CertificateNews) => news.push(`${type} ${id}`) };
  const { edge, httpsPort } = await listening([{ id: 'app.localhost', target: origin.target }], { ...both, hooks });
  const ca = await edge.localRoot();
  await until(() => edge.certificates().some(({ served }) => served), 'the certificate');
  assert.equal(news, ['saved app.localhost']);
  const session = http2.connect(`https://127.0.0.1:${httpsPort}`, { ca, servername: 'app.localhost' });
  try {
    const answer = await within(
      answerOf(session.request({ ':path': '/', ':authority': 'app.localhost' })),
      'the answer over HTTP/2',
    );
    assert.is(answer.status, 200);
    assert.is(String(answer.body), 'hello');
  } finally {
    session.destroy();
  }
});

secure('a name that routes have since a moment gets its certificate within the handshake', async () => {
  const origin = await startOrigin(() => reply('hello'));
  const { edge, httpsPort } = await listening([], both);
  const ca = await edge.localRoot();
  edge.update([{ id: 'new.localhost', target: origin.target }]);
  const got = await get({ port: httpsPort, ca, servername: 'new.localhost', headers: { host: 'new.localhost' } });
  assert.is(got.text, 'hello');
});

secure('whatever a plan for the routes before has cost, a new name is known at once', async () => {
  const target = 'http://127.0.0.1:1';
  const { edge } = await listening([], both);
  const others = Array.from({ length: 500 }, (_, i) => ({ id: `h${i}.example.com`, target }));
  edge.update(others);
  edge.update([...others, { id: 'new.localhost', target }]);
  assert.ok(edge.certificates().some(({ id }) => id === 'new.localhost'));
});

secure('on demand: who is allowed gets one at the first visit', async () => {
  const origin = await startOrigin(() => reply('hello'));
  const asked: string[] = [];
  const { edge, httpsPort } = await listening([{ id: '*', target: origin.target }], {
    ...both,
    certificates: {
      onDemand: {
        ask: async (name) => {
          asked.push(name);
          return name.startsWith('yes');
        },
      },
    },
  });
  const ca = await edge.localRoot();
  const ask = (name: string) => get({ port: httpsPort, ca, servername: name, headers: { host: name } });
  const [one, two] = await Promise.all([ask('yes.localhost'), ask('yes.localhost')]);
  assert.equal([one.text, two.text], ['hello', 'hello']);
  assert.ok(
    await ask('no.localhost').then(
      () => false,
      () => true,
    ),
  );
  assert.equal(asked.sort(), ['no.localhost', 'yes.localhost']);
});

secure('what gets no certificate is told, with what to do', async () => {
  const { edge, lines } = await listening(
    [
      { id: 'app.example.com', target: 'http://127.0.0.1:1' },
      { id: 'db.localhost', target: 'http://127.0.0.1:1' },
    ],
    {
      ...both,
      certificates: { local: false },
    },
  );
  const told = edge.certificates().map(({ id, served, hint }) => `${id} ${served} ${hint}`);
  assert.equal(told.sort(), [
    'app.example.com false bring one in certificates.own, or name a CA: certificates.acme',
    'db.localhost false bring one in certificates.own, or leave certificates.local at its default',
  ]);
  assert.ok(lines.length > 0 && lines.every((line) => !/\boo (serve|cert)\b/.test(line)), lines.join('\n'));
  assert.match(
    (
      await edge.localRoot().then(
        () => null,
        (error) => error,
      )
    ).message,
    'certificates.local is false',
  );
});

secure('with a directory the local CA and its certificates outlive the process', async () => {
  const storage = `${temporary()}/certificates`;
  const origin = await startOrigin(() => reply('hello'));
  const routes = [{ id: 'app.localhost', target: origin.target }];
  const first = await listening(routes, { ...both, certificates: { storage } });
  await until(() => first.edge.certificates().some(({ served }) => served), 'the certificate');
  const [root, [{ serial }]] = [await first.edge.localRoot(), first.edge.certificates()];
  await first.edge.close({ timeoutMs: 0 });
  const second = await listening(routes, { ...both, certificates: { storage } });
  assert.is(await second.edge.localRoot(), root);
  assert.is(second.edge.certificates()[0].serial, serial);
  const got = await get({
    port: second.httpsPort,
    ca: root,
    servername: 'app.localhost',
    headers: { host: 'app.localhost' },
  });
  assert.is(got.text, 'hello');
});

secure('two edges on one directory have one CA, and each serves what the other has got', async () => {
  const storage = temporary();
  const origin = await startOrigin(() => reply('hello'));
  const [one, two] = await Promise.all(
    [1, 2].map(() =>
      listening([{ id: 'app.localhost', target: origin.target }], { ...both, certificates: { storage } }),
    ),
  );
  await until(() => [one, two].every(({ edge }) => edge.certificates().some(({ served }) => served)), 'both', 20_000);
  assert.is(await one.edge.localRoot(), await two.edge.localRoot());
  assert.is(one.edge.certificates()[0].serial, two.edge.certificates()[0].serial);
});

secure('a storage that does not work keeps it from listening, and is named', async () => {
  const refusal = await listening([], { ...both, certificates: { storage: '/dev/null/certificates' } }).then(
    () => null,
    (error) => error,
  );
  assert.is(refusal?.name, 'CertificateStorageError');
  assert.match(refusal.message, '/dev/null/certificates');
});

secure('a CA that can not work is refused', async () => {
  const acme = { directory: 'http://ca.example/dir' };
  const refusal = await listening([], { ...both, certificates: { acme } }).then(
    () => null,
    (error) => error,
  );
  assert.instance(refusal, TypeError);
  assert.match(refusal.message, 'certificates.acme');
});

secure('says that one is served when it is, and not as it is being stored', async () => {
  const records = memoryStorage();
  const storage: CertificateStorage = {
    ...records,
    async write(name, text) {
      if (name.startsWith('certificates/app')) await sleep(200);
      await records.write(name, text);
    },
  };
  const origin = await startOrigin(() => reply('hello'));
  const { edge, httpsPort } = await listening([{ id: 'app.localhost', target: origin.target }], {
    ...{ http: null, https: loopback, certificates: { storage } },
  });
  await until(() => edge.certificates()[0].served, 'the certificate');
  const headers = { host: 'app.localhost' };
  const ca = await edge.localRoot();
  assert.is((await get({ port: httpsPort, ca, servername: 'app.localhost', headers })).text, 'hello');
});

secure.run();
