import type { Explanation, PoolSideView, RouteView, UpstreamView } from '../src/admin/explain-types.ts';
import { printable } from './output.ts';
import { showDuration } from './values.ts';

type Color = 'red' | 'green' | 'yellow' | 'bold' | 'dim';
const codes: Readonly<Record<Color, number>> = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 };

/** A line: what it is about, and what is said of that. Lines without the first go on with what was before. */
interface Line {
  readonly label: string;
  readonly text: string;
  readonly color?: Color;
}

const labelWidth = 13;

/** `oo explain`: everything in the order in which a request meets it. @param colors whether it is painted */
export function explainText(told: Explanation, colors: boolean): string {
  const { request, outcome, listener, certificate, revision } = told;
  const paint = (text: string, color: Color | undefined) =>
    colors && color !== undefined ? `\x1b[${codes[color]}m${text}\x1b[0m` : text;
  const status = outcome.status === 0 ? '' : ` ${outcome.status}`;
  const code = outcome.code === '' ? '' : ` ${outcome.code}`;
  const word = { none: 'nobody takes it' }[outcome.kind as string] ?? outcome.kind;
  const head = [
    paint(printable(`${request.method} ${request.url}`), 'bold'),
    paint(printable(`${word}${status}${code}: ${outcome.text}`), outcome.ok ? 'green' : 'red'),
    '',
  ];
  const trusted = request.trusted ? ', by a trusted proxy' : '';
  const lines: Line[] = [
    { label: 'request', text: `Host ${request.host}, path ${request.path}, from ${request.client}${trusted}` },
    { label: 'listener', text: listener.text },
    ...(certificate === null ? [] : [certificateLine(certificate)]),
    ...matchLines(told, revision),
    ...told.options.map(({ option, effect, text }, i): Line => {
      const color = effect === 'refuses' ? 'red' : effect === 'answers' ? 'green' : undefined;
      return { label: i === 0 ? 'options' : '', text: `${option} ${effect}: ${text}`, color };
    }),
    ...(told.pool === null ? [] : poolLines(told.pool)),
    ...(told.upstream === null ? [] : upstreamLines(told.upstream)),
    ...limitLines(told),
    ...(told.retries === '' ? [] : [{ label: 'retries', text: told.retries }]),
  ];
  const body = lines.map(({ label, text, color }) => {
    return `${paint(label.padEnd(labelWidth), 'dim')}${paint(printable(text), color)}`.trimEnd();
  });
  return [...head, ...body].map((line) => `${line}\n`).join('');
}

function certificateLine({ state, text }: NonNullable<Explanation['certificate']>): Line {
  return { label: 'certificate', text, color: state === 'served' ? undefined : 'red' };
}

function matchLines({ match }: Explanation, revision: number): Line[] {
  const { route, why, runnersUp, more, readings, misses } = match;
  const name = route === '' ? 'none' : route;
  const lines: Line[] = [
    { label: 'route', text: `${name} (revision ${revision})`, color: route === '' ? 'red' : 'bold' },
    { label: '', text: why },
  ];
  for (const { path, route } of readings)
    lines.push({ label: '', text: `also read as ${path}: ${route === '' ? 'no route' : route}` });
  for (const miss of misses) lines.push({ label: '', text: miss, color: 'yellow' });
  const width = runnersUp.reduce((most, { id }) => Math.max(most, id.length), 0);
  for (const [i, { id, why }] of runnersUp.entries())
    lines.push({ label: i === 0 ? 'not' : '', text: `${id.padEnd(Math.min(width, 40))}  ${why}` });
  if (more > 0) lines.push({ label: '', text: `… and ${more} more` });
  return lines;
}

function poolLines({ main, canary, gate, service, target, choice }: RouteView): Line[] {
  const name = service === '' ? '' : `service ${service}, `;
  const text = `${name}${main.policy}: ${main.why}`;
  const lines: Line[] = [
    { label: 'pool', text: main.members.length === 0 && target !== '' ? `${target}: ${text}` : text },
  ];
  if (gate.state !== 'open')
    lines.push({ label: '', text: gate.text, color: gate.state === 'stopped' ? 'red' : 'yellow' });
  for (const one of choice) lines.push({ label: '', text: one });
  lines.push(...memberLines(main));
  if (canary !== null) lines.push({ label: 'canary', text: canary.text }, ...memberLines(canary));
  return lines;
}

const signs = { yes: '→', no: '✗', fallback: '·' } as const;

function memberLines({ members, chosen }: PoolSideView): Line[] {
  const shown = members.slice(0, 50);
  const width = shown.reduce((most, { address }) => Math.max(most, address.length), 0);
  const lines = shown.map(({ address, picked, health, inFlight, breaker, why, weight, priority }): Line => {
    const details = [
      health === 'Unknown' ? 'not probed' : health.toLowerCase(),
      ...(breaker === '' ? [] : [`breaker ${breaker}`]),
      ...(weight === 1 ? [] : [`weight ${weight}`]),
      ...(priority === 0 ? [] : [`priority ${priority}`]),
      `${inFlight} in flight`,
    ];
    const color = picked === 'no' ? 'red' : address === chosen ? 'green' : undefined;
    return { label: '', text: `${signs[picked]} ${address.padEnd(width)}  ${details.join(', ')}: ${why}`, color };
  });
  if (members.length > shown.length) lines.push({ label: '', text: `… and ${members.length - shown.length} more` });
  return lines;
}

function upstreamLines({ method, target, host, dropped, added, removed, put }: UpstreamView): Line[] {
  const to = host === '' ? "the target's own Host" : `Host ${host}`;
  const lines: Line[] = [{ label: 'upstream', text: `${method} ${target}, ${to}` }];
  for (const { name, why } of dropped) lines.push({ label: '', text: `- ${name}: ${why}` });
  for (const name of removed) lines.push({ label: '', text: `- ${name}: requestHeaders takes it out` });
  for (const { name, value } of [...added, ...put]) lines.push({ label: '', text: `+ ${name}: ${value}` });
  return lines;
}

function limitLines({ limits }: Explanation): Line[] {
  const text = (name: string, value: number) => {
    if (!name.endsWith('Ms')) return String(value);
    return value === 0 ? 'none' : showDuration(value);
  };
  return limits.map(({ name, value, from }, i) => {
    const source = from === 'server' ? 'the default' : `the ${from}`;
    return { label: i === 0 ? 'limits' : '', text: `${name} ${text(name, value)} (${source})` };
  });
}
