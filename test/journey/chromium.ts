import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { temporary } from '../helpers/temporary.ts';
import { sleep, within } from '../helpers/wait.ts';
import { killAll, tree } from './oo.ts';

/** A page in a headless Chromium, driven over the DevTools protocol. */
export interface Browser {
  /** Loads a URL and waits until the page has. */
  open(url: string): Promise<void>;
  /** The value of an expression in the page, awaited if it is a promise. */
  evaluate<T>(expression: string, ms?: number): Promise<T>;
  /** The parameters of the protocol's next event of this name, of the domain `Network`. */
  // biome-ignore lint/suspicious/noExplicitAny: the protocol's own shapes
  networkEvent(name: string): Promise<any>;
  close(): Promise<void>;
}

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
];

export interface BrowserOptions {
  /** More flags: `--host-resolver-rules=…`. */
  readonly flags?: readonly string[];
  /** Its HOME, where certificates are that a user trusts; default: the profile. */
  readonly home?: string;
}

/** Starts Chromium with an empty profile. */
export async function startChromium(options: BrowserOptions = {}): Promise<Browser> {
  const profile = temporary();
  const home = options.home ?? profile;
  const child = spawn('chromium', [...flags, ...(options.flags ?? []), `--user-data-dir=${profile}`, 'about:blank'], {
    // What it keeps outside of its profile goes there too.
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
    stdio: 'ignore',
  });
  const pid = child.pid ?? -1;
  const end = () => killAll(tree(pid));
  process.on('exit', end);
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()).on('error', () => resolve()));
  const page = await connectToPage(profile).catch((error) => {
    end();
    throw error;
  });
  await page.call('Page.enable');
  return {
    async open(url) {
      const loaded = page.event('Page.loadEventFired');
      await page.call('Page.navigate', { url });
      await within(loaded, `the load of ${url}`, 20_000);
    },
    async evaluate<T>(expression: string, ms = 10_000): Promise<T> {
      const options = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await within(page.call('Runtime.evaluate', options), expression, ms);
      if (exceptionDetails) throw new Error(`in the page: ${JSON.stringify(exceptionDetails)}`);
      return result.value as T;
    },
    async networkEvent(name) {
      await page.call('Network.enable');
      return within(page.event(`Network.${name}`), name, 20_000);
    },
    async close() {
      page.close();
      end();
      await within(ended, "Chromium's end");
      process.off('exit', end);
    },
  };
}

/** Finds the one page by way of the port that Chromium wrote into its profile. */
async function connectToPage(profile: string): Promise<Page> {
  for (let waited = 0; waited < 20_000; waited += 50) {
    await sleep(50);
    try {
      const [port] = readFileSync(join(profile, 'DevToolsActivePort'), 'utf8').split('\n');
      const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as Target[];
      const target = targets.find(({ type }) => type === 'page');
      if (target !== undefined) return await openPage(target.webSocketDebuggerUrl);
    } catch {
      // Not yet.
    }
  }
  throw new Error('Chromium did not start within 20 s');
}

interface Target {
  readonly type: string;
  readonly webSocketDebuggerUrl: string;
}

// biome-ignore lint/suspicious/noExplicitAny: the protocol's own shapes
type Answer = any;

interface Page {
  call(method: string, params?: object): Promise<Answer>;
  event(method: string): Promise<Answer>;
  close(): void;
}

async function openPage(url: string): Promise<Page> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const calls = new Map<number, (answer: Answer) => void>();
  const events = new Map<string, (params: Answer) => void>();
  let id = 0;
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.id === undefined) return void events.get(message.method)?.(message.params);
    calls.get(message.id)?.(message.result ?? { exceptionDetails: message.error });
    calls.delete(message.id);
  });
  return {
    call: (method, params = {}) =>
      new Promise((resolve) => {
        calls.set(++id, resolve);
        socket.send(JSON.stringify({ id, method, params }));
      }),
    event: (method) => new Promise((resolve) => events.set(method, resolve)),
    close: () => socket.terminate(),
  };
}
