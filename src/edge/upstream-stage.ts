/** Response bytes of one stream, in one piece, that its client is given at the end of the turn. */
export interface Staged {
  /** They are stage[from,to). */
  stage: Buffer;
  from: number;
  to: number;
  /** It is in the stage's line. */
  staged: boolean;
  /** Gives the client what is there. */
  deliver(): void;
}

const stageBytes = 256 * 1024;
/** Rather than to move more than this, it is delivered. */
const mostMoved = 4 * 1024;

/**
 * Where the responses that one read brought are put together, so that a head and the frames of its body reach an HTTP/1.1 client as one
 * range, and in one write, though they came apart and among those of other streams. What a client has not written by the time that it
 * has been given it is kept: the next bytes go behind it.
 */
export class Stage {
  private buffer: Buffer = Buffer.allocUnsafeSlow(stageBytes);
  /** Where the next bytes go, and where they go once nothing waits. */
  private at = 0;
  private start = 0;
  private line: Staged[] = [];

  /** Makes sure that `bytes` more can be put behind what there is of a response. @returns where in its `stage`; `put` says how many were */
  reserve(of: Staged, bytes: number): number {
    const isLast = of.stage === this.buffer && of.to === this.at;
    if (of.to > of.from && !isLast && of.to - of.from > mostMoved) of.deliver();
    if (!of.staged) {
      of.staged = true;
      this.line.push(of);
    }
    const length = of.to - of.from;
    if (length > 0 && isLast && of.to + bytes <= this.buffer.length) return of.to;
    if (this.at + length + bytes > this.buffer.length) {
      this.buffer = Buffer.allocUnsafeSlow(Math.max(stageBytes, length + bytes));
      this.at = this.start = 0;
    }
    if (length > 0) of.stage.copy(this.buffer, this.at, of.from, of.to);
    of.stage = this.buffer;
    of.from = this.at;
    of.to = this.at + length;
    this.at = of.to;
    return of.to;
  }

  /** Its bytes go up to there now. */
  put(of: Staged, to: number): void {
    of.to = to;
    this.at = to;
  }

  /** A pending write refers to bytes before `to` of this buffer. */
  keep(buffer: Buffer, to: number): void {
    if (buffer === this.buffer) this.start = Math.max(this.start, to);
  }

  /** The turn is over: delivers everything. */
  deliver(): void {
    for (let i = 0; i < this.line.length; i++) if (this.line[i].staged) this.line[i].deliver();
    this.line.length = 0;
    this.at = this.start;
  }
}
