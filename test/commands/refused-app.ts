/** An application that Espruino cannot run. */
export async function later(): Promise<void> {}
