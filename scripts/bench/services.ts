import { join } from 'node:path';
import { LOAD_CORE, PROXY_CORE, run } from './process.ts';

const PATIENCE_MS = 240_000;

/** What many services with their probes and heartbeats cost the main process: a section of the report. Takes a minute and a half. */
export async function measureServices(): Promise<string> {
  const script = join(import.meta.dirname, '..', 'bench-services.ts');
  // Both cores: the instances are a process beside it.
  const said = await run([process.execPath, script], {}, `${PROXY_CORE},${LOAD_CORE}`, PATIENCE_MS);
  // Each change of health is logged, too.
  const lines = said.split('\n').filter((line) => line !== '' && !line.startsWith('health: '));
  return `### Many services: what the main process spends on them\n\n${lines.map((line) => `- ${line}`).join('\n')}\n`;
}
