import type { Io } from './io.ts';

/** Work that is quicker than this says nothing of itself, ms. */
const quietMs = 500;

/** One line at a terminal that says what long work is at. */
export interface Progress {
  /** The next part of the work. */
  step(text: string): void;
  /** Takes the line away. */
  end(): void;
}

/** For people only: in a pipe it says nothing. */
export function progressOf(io: Io): Progress {
  if (!io.person?.watches) return { step() {}, end() {} };
  const begun = performance.now();
  let text = '';
  let isShown = false;
  const show = () => {
    const seconds = Math.floor((performance.now() - begun) / 1_000);
    io.err(`\r\x1b[K${text}…${seconds > 0 ? ` ${seconds}s` : ''}`);
    isShown = true;
  };
  let timer = setTimeout(function again() {
    show();
    timer = setTimeout(again, 1_000);
  }, quietMs);
  return {
    step(next) {
      text = next;
      if (performance.now() - begun >= quietMs) show();
    },
    end() {
      clearTimeout(timer);
      if (isShown) io.err('\r\x1b[K');
      isShown = false;
    },
  };
}
