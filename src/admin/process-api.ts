import * as v from 'valibot';
import type { Examine } from './doctor.ts';
import type { Api } from './operation.ts';
import { checkedWire } from './wire/certificate.ts';

const settingSchema = v.object({
  name: v.pipe(v.string(), v.description("The setting's flag of `oo serve`, without dashes.")),
  value: v.pipe(v.string(), v.description('As it was given, or the default in words. A secret is never shown.')),
  source: v.pipe(v.string(), v.description('`--flag`, the variable, `database`, or `default`.')),
});

/** One setting of a running server. */
export type ServerSetting = v.InferOutput<typeof settingSchema>;

/** What there is to tell of the process itself. */
export interface ProcessOptions {
  /** What it was started with, as it is now. */
  readonly settings: () => readonly ServerSetting[];
  readonly examine: Examine;
}

/** `GET /v1/config`: what this server was started with. `GET /v1/doctor`: how it is, and how to mend what is not well. */
export function addProcessCalls(api: Api, { settings, examine }: ProcessOptions): void {
  api.on(
    {
      ...{ id: 'getConfig', method: 'get', path: '/v1/config', tag: 'status', scope: 'status:read' },
      summary: 'Every setting of this server, its value and where it came from',
      answers: { 200: { description: 'The settings.', schema: v.object({ settings: v.array(settingSchema) }) } },
    },
    (c) => c.json({ settings: [...settings()] }),
  );
  api.on(
    {
      ...{ id: 'examine', method: 'get', path: '/v1/doctor', tag: 'status', scope: 'status:read' },
      summary: 'Database, disk, workers, upstreams, certificates and names: each ok, or how to mend it',
      description: 'Looks up names and asks ports, so it takes seconds.',
      answers: { 200: { description: 'A line for each thing.', schema: checkedWire } },
    },
    async (c) => c.json({ lines: [...(await examine())] }),
  );
}
