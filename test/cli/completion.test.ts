import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { clearSocket } from '../../cli/state.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { temporary } from '../helpers/temporary.ts';

const completion = suite('cli: oo completion');

const root = join(import.meta.dirname, '../..');

async function offered(words: readonly string[], env: Record<string, string> = {}): Promise<string[]> {
  const io = memoryIo({ OO_STATE_DIR: '/nonexistent', HOME: '/nonexistent', ...env });
  const code = await createProgram(io, '1').run(['completion', 'bash', '--', ...words]);
  assert.equal([code, io.said.err], [0, '']);
  return io.said.out.split('\n').filter(Boolean);
}

/** A server's lists, on the socket of a state directory. */
async function lists() {
  const dir = temporary();
  const answers: Record<string, object> = {
    '/v1/routes?limit=500': {
      routes: [
        { id: 'app.example.com', target: 'http://10.0.0.2:3000' },
        { id: 'app.example.com:8080/api', target: [] },
      ],
    },
    '/v1/services': { services: [{ id: 'user-svc' }] },
    '/v1/history?limit=30': { revisions: [] },
  };
  const server = createServer((request, response) => {
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify(answers[request.url ?? ''] ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(clearSocket(dir), resolve));
  return { dir, server };
}

completion('commands, verbs, flags and their values', async () => {
  assert.equal(await offered(['rou']), ['route']);
  assert.ok((await offered([''])).includes('serve') === false, 'serve is added by main');
  assert.equal(await offered(['routes', 'sa']), ['save'], 'by another word for the noun');
  const verbs = await offered(['context', '']);
  assert.equal(verbs, ['add', 'list', 'use', 'current', 'rm']);
  const flags = await offered(['route', 'get', '--']);
  assert.ok(flags.includes('--output') && flags.includes('--state-dir'), String(flags));
  assert.equal(await offered(['route', 'list', '-o', '']), ['table', 'json', 'yaml', 'name']);
  assert.equal(await offered(['route', 'list', '--output', 'j']), ['json']);
  assert.equal(await offered(['completion', '']), ['bash', 'zsh', 'fish']);
  assert.equal(await offered(['route', 'save', '']), [], "files are the shell's to offer");
  assert.equal(await offered(['nothing', 'a', 'b']), []);
});

completion('ids that there are; without a server, none and no complaint', async () => {
  const { dir, server } = await lists();
  const env = { OO_STATE_DIR: dir };
  assert.equal(await offered(['route', 'get', ''], env), ['app.example.com', 'app.example.com:8080/api']);
  assert.equal(await offered(['route', 'rm', 'app.example.com', ''], env), ['app.example.com:8080/api'], 'each once');
  assert.equal(await offered(['pause', 'u'], env), ['user-svc']);
  assert.equal(await offered(['route', 'get', '--state-dir', dir, 'app.example.com:'], {}), [
    'app.example.com:8080/api',
  ]);
  server.close();
  server.closeAllConnections();
  assert.equal(await offered(['route', 'get', ''], env), []);
});

completion('in bash, with a colon in the word', async () => {
  const { dir, server } = await lists();
  const oo = join(temporary(), 'oo');
  writeFileSync(oo, `#!/bin/sh\nexec ${process.execPath} ${join(root, 'cli/main.ts')} "$@"\n`);
  chmodSync(oo, 0o755);
  const program = `
    source <("$OO" completion bash)
    ask() {
      COMP_LINE="$OO $1"; COMP_POINT=\${#COMP_LINE}; COMP_WORDS=($COMP_LINE ""); COMP_CWORD=2; COMP_WORDBREAKS=$' \\t\\n:='
      COMPREPLY=(); _oo; printf '%s|' "\${COMPREPLY[@]}"; echo
    }
    ask 'route ge'
    ask 'route get app'
    ask 'route get app.example.com:'`;
  const env = { ...process.env, OO: oo, OO_STATE_DIR: dir };
  const { stdout } = await promisify(execFile)('bash', ['-c', program], { env, timeout: 60_000 });
  assert.equal(stdout.split('\n'), ['get|', 'app.example.com|app.example.com:8080/api|', '8080/api|', '']);
  server.close();
  server.closeAllConnections();
});

completion('each script is what its shell can read, if it is here', () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const script = execFileSync(process.execPath, [join(root, 'cli/main.ts'), 'completion', shell], {
      encoding: 'utf8',
    });
    assert.ok(script.includes('completion'), shell);
    const has = execFileSync('sh', ['-c', `command -v ${shell} || true`], { encoding: 'utf8' }).trim();
    if (has !== '') execFileSync(has, ['-n'], { input: script });
  }
});

completion('another shell: exit code 2', async () => {
  const io = memoryIo({});
  assert.is(await createProgram(io, '1').run(['completion', 'tcsh']), 2);
  assert.match(io.said.err, /no completion for tcsh/);
});

completion.run();
