import { addFlags } from './environment.ts';
import { processIo } from './io.ts';
import { createProgram, type Program } from './program.ts';
import { commonSettings, serveSettings } from './settings.ts';
import { version } from './version.ts';

/** The whole command line. What only a server needs is loaded when one is started. */
export function createOo(): Program {
  const program = createProgram(processIo(), version());
  const { cac } = program;
  addFlags(cac.command('serve', 'Run the edge: proxy, admin API, database'), { ...commonSettings, ...serveSettings })
    .example('oo serve')
    .example('oo serve --http-port 8080 --test-mode')
    .example('OO_DB=libsql://routes.example.com OO_DB_TOKEN=… oo serve')
    .action(async (flags) => {
      const { serve } = await import('./serve.ts');
      process.exit(await serve(flags));
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
