/** What changes something: asks for the token where it is missing, and for a second thought where it matters. */
import { changed, RequestError, setToken, state, toast } from "./store";

export interface Dialog {
  title: string;
  text: string;
  /** Label of the button that goes on. */
  go: string;
  danger: boolean;
  /** Asks for the token as well. */
  wantsToken: boolean;
  then(): void;
}

export const dialog = { open: null as Dialog | null };

export function ask(question: Omit<Dialog, "wantsToken">): void {
  dialog.open = { ...question, wantsToken: false };
  changed();
}

export function closeDialog(): void {
  dialog.open = null;
  changed();
}

function askToken(again: () => void, wrong: boolean): void {
  dialog.open = {
    title: wrong ? "This token is not the right one" : "A token is needed",
    text: "Changes need the token that the dashboard printed when it started. Open the address printed there, or paste the part behind “token=”.",
    go: "Use this token",
    danger: false,
    wantsToken: true,
    then: again,
  };
  changed();
}

/** Runs a change; failures are shown, and the token is asked for where it is missing or wrong. */
export async function act(run: () => Promise<void>): Promise<void> {
  if (state.info && !state.info.writable) {
    toast("This dashboard is for reading only: no token was set.", "error");
    return;
  }
  const again = (): void => void act(run);
  if (state.token === "") return askToken(again, false);
  try {
    await run();
  } catch (error) {
    if (error instanceof RequestError && error.code === "WRONG_TOKEN") {
      setToken("");
      askToken(again, true);
    } else
      toast(error instanceof RequestError ? `Refused: ${error.message}.` : "The server could not be reached.", "error");
  }
  changed();
}
