/** The form that plans an update: which image, how, and by what transport. */
import type { RolloutState } from "../../gateway/fleet-view";
import type { ImageChoice, PreviewRequest } from "../api";
import { type Children, h, type VNode } from "./dom";
import { bytes } from "./format";
import { button, empty, panel, skeleton } from "./parts";
import { call } from "./rollout-actions";
import { changed, get, state } from "./store";

const form = {
  images: null as ImageChoice[] | null,
  error: "",
  asked: false,
  image: "",
  policy: "progressive" as PreviewRequest["policy"],
  transport: "broadcast" as PreviewRequest["transport"],
};

async function loadImages(): Promise<void> {
  form.asked = true;
  try {
    form.images = (await get<{ images: ImageChoice[] }>("/images")).images;
    form.image ||= form.images[0]?.id ?? "";
    form.error = "";
  } catch (error) {
    form.error = error instanceof Error ? error.message : "no answer";
  }
  changed();
}

const OVER: readonly RolloutState[] = ["done", "aborted", "failed", "preview"];

function radio(name: string, value: string, current: string, title: string, text: Children, pick: () => void): VNode {
  return h(
    "label",
    { class: `choice${current === value ? " chosen" : ""}` },
    h("input", { type: "radio", name, value, checked: current === value, onchange: pick }),
    h("span", null, h("strong", null, title), h("span", { class: "muted small block" }, text)),
  );
}

export function updateForm(): VNode {
  if (state.info && !state.info.rollouts) {
    return panel(
      "Update",
      null,
      empty(
        "chip",
        "Updates start from a computer",
        "This server shows what nodes run and how an update goes. To start one, use “espalier dashboard” or “espalier push”.",
      ),
    );
  }
  if (state.ready && !form.asked) void loadImages();
  const busy = state.rollout !== null && !OVER.includes(state.rollout.state);
  let inside: Children;
  if (form.error)
    inside = [
      empty("warning", "Images could not be listed", `The server said: ${form.error}.`),
      button("Try again", () => void loadImages()),
    ];
  else if (!form.images) inside = skeleton(4);
  else if (form.images.length === 0)
    inside = empty(
      "chip",
      "No image to install",
      "Start the dashboard with --image, or with the application that the nodes shall run.",
    );
  else {
    const set =
      <K extends keyof typeof form>(key: K, value: (typeof form)[K]) =>
      () => {
        form[key] = value;
        changed();
      };
    inside = h(
      "form",
      {
        class: "chooser",
        onsubmit: (event: Event) => {
          event.preventDefault();
          call(
            "preview",
            { image: form.image, policy: form.policy, transport: form.transport },
            "Preview is ready. Nothing has been sent.",
          );
        },
      },
      h(
        "fieldset",
        null,
        h("legend", null, "Image"),
        form.images.map((image) =>
          radio(
            "image",
            image.id,
            form.image,
            `${image.version} for ${image.hardware}, role ${image.role}`,
            [bytes(image.bytes), image.notes ? h("span", { class: "notes" }, image.notes) : null],
            set("image", image.id),
          ),
        ),
      ),
      h(
        "fieldset",
        null,
        h("legend", null, "Policy"),
        radio(
          "policy",
          "progressive",
          form.policy,
          "Progressive",
          "one node, then a few, then all; a health check between",
          set("policy", "progressive"),
        ),
        radio("policy", "all", form.policy, "All at once", "every node that takes the image", set("policy", "all")),
      ),
      h(
        "fieldset",
        null,
        h("legend", null, "Transport"),
        radio(
          "transport",
          "broadcast",
          form.transport,
          "Broadcast",
          "one transmission for all children; what was lost is repaired",
          set("transport", "broadcast"),
        ),
        radio(
          "transport",
          "sequential",
          form.transport,
          "Sequential",
          "each node pulls chunk by chunk",
          set("transport", "sequential"),
        ),
      ),
      h(
        "div",
        { class: "row" },
        h("button", { type: "submit", class: "button primary", disabled: busy || !form.image }, "Preview"),
        busy && h("span", { class: "muted" }, "A rollout is under way."),
      ),
    );
  }
  return panel("Update", null, inside);
}
