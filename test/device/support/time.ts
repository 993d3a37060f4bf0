/** Runs work that sleeps under Jest's fake timers: virtual time passes as fast as the machine allows. */
export async function throughTime<T>(work: Promise<T>, limitMs = 600_000): Promise<T> {
  let settled = false;
  work.then(
    () => (settled = true),
    () => (settled = true),
  );
  for (let passed = 0; !settled; passed += 10) {
    if (passed > limitMs) throw new Error("the work never ended");
    await jest.advanceTimersByTimeAsync(10);
  }
  return work;
}

/** Streams and modules are loaded by the real event loop; only what sleeps is virtual. */
export function useVirtualTime(): void {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate", "hrtime", "performance"] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });
}
