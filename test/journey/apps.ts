import { type ChildProcess, fork } from 'node:child_process';
import { request } from 'node:http';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';
import { closeLater } from '../helpers/cleanup.ts';
import { until, within } from '../helpers/wait.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** An app that can be put into a mood. */
export interface App extends Upstream {
  readonly url: string;
  /** 200: it answers; 502: it fails each request. */
  status: number;
}

/** Starts an app in this process: it answers with its name and the path; `/events` are numbers each 20 ms, a WebSocket is an echo with its name before. */
export async function startApp(name: string): Promise<App> {
  const mood = { status: 200 };
  const upstream = await startUpstream((request, response) => {
    if (request.url?.endsWith('/events')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let sent = 0;
      const timer = setInterval(() => response.write(`data: ${name} ${sent++}\n\n`), 20);
      response.on('close', () => clearInterval(timer));
      return;
    }
    response.statusCode = mood.status;
    response.end(`${name} ${request.url}`);
  });
  const sockets = new WebSocketServer({ server: upstream.server });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`${name}: ${String(data)}`)));
  return {
    ...upstream,
    url: `http://127.0.0.1:${upstream.port}`,
    get count() {
      return upstream.count;
    },
    get status() {
      return mood.status;
    },
    set status(status) {
      mood.status = status;
    },
    close() {
      for (const socket of sockets.clients) socket.terminate();
      upstream.close();
    },
  };
}

/** An app in a process of its own, which can be killed. */
export interface AppProcess {
  readonly pid: number;
  readonly port: number;
  readonly url: string;
  kill(): void;
}

/** Starts an app in a process of its own: it answers with its name and the path. @param port 0 for a free one */
export async function startAppProcess(name: string, port = 0): Promise<AppProcess> {
  const child: ChildProcess = fork(join(import.meta.dirname, 'app-process.ts'), [name, `${port}`], {
    stdio: 'inherit',
  });
  const kill = () => void child.kill('SIGKILL');
  closeLater({ close: kill });
  const listening = new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(Number(message))).once('exit', () => reject(new Error(`${name} ended`)));
  });
  const at = await within(listening, `the app ${name}`, 20_000);
  return { pid: child.pid ?? -1, port: at, url: `http://127.0.0.1:${at}`, kill };
}

export interface Where {
  readonly port: number;
  readonly path?: string;
  readonly host?: string;
}

/** An open WebSocket. `echo` fails where no answer comes. */
export async function openEcho({ port, path = '/ws', host = 'localhost' }: Where) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { host } });
  closeLater({ close: () => socket.terminate() });
  await within(new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject)), 'the WebSocket');
  const echo = (text: string) =>
    within(
      new Promise<string>((resolve) => {
        socket.once('message', (data) => resolve(String(data)));
        socket.send(text);
      }),
      `the echo of ${text}`,
    );
  return { echo, close: () => socket.terminate() };
}

/** A running event stream. */
export interface Events {
  text(): string;
  /** Waits until so many more have come. */
  more(count: number): Promise<void>;
  /** Each came once, in order. */
  inOrder(): boolean;
  close(): void;
}

export function openEvents({ port, path = '/events', host = 'localhost' }: Where): Events {
  let text = '';
  const asked = request({ port, host: '127.0.0.1', path, headers: { host } });
  closeLater({ close: () => asked.destroy() });
  asked.on('error', () => {});
  asked.on('response', (response) => {
    response.setEncoding('utf8').on('data', (part) => (text += part));
    response.on('error', () => {});
  });
  asked.end();
  const numbers = () => [...text.matchAll(/data: .* (\d+)\n\n/g)].map(([, number]) => Number(number));
  return {
    text: () => text,
    more(count) {
      const end = numbers().length + count;
      return until(() => numbers().length >= end, `${count} more events after ${text.slice(-40)}`);
    },
    inOrder: () => numbers().every((number, i) => number === i),
    close: () => asked.destroy(),
  };
}
