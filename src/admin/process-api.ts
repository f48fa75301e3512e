import * as v from 'valibot';
import type { Api } from './operation.ts';

const settingSchema = v.object({
  name: v.pipe(v.string(), v.description("The setting's flag of `oo serve`, without dashes.")),
  value: v.pipe(v.string(), v.description('As it was given, or the default in words. A secret is never shown.')),
  source: v.pipe(v.string(), v.description('`--flag`, the variable, `database`, or `default`.')),
});

/** One setting of a running server. */
export type ServerSetting = v.InferOutput<typeof settingSchema>;

/** `GET /v1/config`: what this server was started with. @param settings as they are now */
export function addProcessCalls(api: Api, settings: () => readonly ServerSetting[]): void {
  api.on(
    {
      ...{ id: 'getConfig', method: 'get', path: '/v1/config', tag: 'status', scope: 'status:read' },
      summary: 'Every setting of this server, its value and where it came from',
      answers: { 200: { description: 'The settings.', schema: v.object({ settings: v.array(settingSchema) }) } },
    },
    (c) => c.json({ settings: [...settings()] }),
  );
}
