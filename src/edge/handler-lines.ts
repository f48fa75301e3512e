import { StringDecoder } from 'node:string_decoder';
import type { HandlerFault } from '../core/handler-proof.ts';

const maxLine = 2_000;
const linesPerSecond = 100;
/** What is kept of the beginning: there Node says what is wrong with a module. */
const maxKept = 16 * 1024;

const isOutOfMemory = /^(?:<--- Last few GCs --->|FATAL ERROR: .*heap out of memory)/;
/** What Node writes about itself then is of no use to who has written the handler. */
const isCrashReport = /^\s*(?:$|\d+: 0x|\[\d+:0x|-{5} |<--- |=? ?\[\d+:)/;

/** What a handler's process writes to its standard output and error, in lines that are not too long and not too many. */
export class LineReader {
  private readonly log: (line: string) => void;
  private readonly decoder = new StringDecoder('utf8');
  /** Node has ended by that. */
  isOutOfMemory = false;
  private partial = '';
  private kept = '';
  private second = 0;
  private count = 0;
  private leftOut = 0;

  constructor(log: (line: string) => void) {
    this.log = log;
  }

  take(chunk: Buffer): void {
    const text = this.decoder.write(chunk);
    if (this.kept.length < maxKept) this.kept += text;
    const lines = (this.partial + text).split('\n');
    // A line without an end must not fill the memory.
    this.partial = (lines.pop() as string).slice(0, maxLine + 1);
    for (const line of lines) this.say(line);
  }

  end(): void {
    if (this.partial !== '') this.say(this.partial);
    this.partial = '';
    this.tellLeftOut();
  }

  private say(line: string): void {
    if (this.isOutOfMemory && isCrashReport.test(line)) return;
    if (isOutOfMemory.test(line)) this.isOutOfMemory = true;
    const now = Math.floor(performance.now() / 1_000);
    if (now !== this.second) {
      this.tellLeftOut();
      this.second = now;
      this.count = 0;
    }
    if (++this.count > linesPerSecond) {
      this.leftOut++;
      return;
    }
    const visible = line.replace(/\p{Cc}/gu, ' ').trimEnd();
    if (visible !== '') this.log(visible.length > maxLine ? `${visible.slice(0, maxLine)}…` : visible);
  }

  private tellLeftOut(): void {
    if (this.leftOut > 0) this.log(`${this.leftOut} lines are left out`);
    this.leftOut = 0;
  }

  /** What Node says of a module that is no JavaScript: file and line, the line itself, a caret (none at the end of the text), and the error. */
  syntaxError(): HandlerFault | undefined {
    const found = /handler\.mjs:(\d+)\n[^\n]*\n((?:[^\n]*\n){0,5}?)SyntaxError: ([^\n]+)/.exec(this.kept);
    if (found === null) return undefined;
    const [, line, marks, what] = found;
    const column = marks.indexOf('^') + 1;
    return { message: `SyntaxError: ${what}`, line: Number(line), ...(column > 0 ? { column } : {}) };
  }
}
