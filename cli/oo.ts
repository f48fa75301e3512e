import { addFlags } from './environment.ts';
import { processIo } from './io.ts';
import { createProgram, type Program } from './program.ts';
import { commonSettings, serveSettings } from './settings.ts';
import { version } from './version.ts';

/** The whole command line. What only a server needs is loaded when one is started. */
export function createOo(): Program {
  const io = processIo();
  const program = createProgram(io, version());
  const { cac } = program;
  addFlags(cac.command('serve', 'Run the edge: proxy, admin API, database'), { ...commonSettings, ...serveSettings })
    .example('oo serve')
    .example('oo serve --http-port 8080 --test-mode')
    .example('OO_DB=libsql://routes.example.com OO_DB_TOKEN=… oo serve')
    .action(async (flags) => {
      const { serve } = await import('./serve.ts');
      process.exit(await serve(flags));
    });
  addFlags(
    cac.command('up <host> <target>', 'Serve one host in one step: run the edge, save its route, get its certificate'),
    {
      ...commonSettings,
      ...serveSettings,
    },
  )
    .example('oo up app.example.com :3000')
    .example('oo up app.localhost http://127.0.0.1:3000 --http-port 8080 --https-port 8443')
    .action(async (host: string, target: string, flags) => {
      const { up } = await import('./up.ts');
      process.exit(await up(io, host, target, flags));
    });
  cac
    .command('demo', 'Two small web apps behind one address, on free ports, until Ctrl-C')
    .example('oo demo')
    .action(async () => {
      const { demo } = await import('./demo.ts');
      process.exit(await demo());
    });
  cac
    .example('oo demo                                              two small web apps behind one address, to try')
    .example('oo serve                                             run the edge on ports 80 and 443')
    .example('oo route save --id app.localhost --target 127.0.0.1:3000')
    .example('oo route save routes.yaml')
    .example('oo routes ls')
    .example('oo instance register --slug user-svc --url http://127.0.0.1:3000')
    .example(
      'oo certs ls                                          certificates; oo cert check HOST says what stands in the way',
    )
    .example('oo trust                                             https://app.localhost without a warning');
  return program;
}
