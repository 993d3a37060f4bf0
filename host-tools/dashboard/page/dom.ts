/** A small virtual DOM: views are functions of the state, and only what changed is touched. */

export type Child = VNode | string | number | null | undefined | false;
/** Children may come in lists of lists. */
export type Children = Child | readonly Children[];
type Handler = (event: never) => void;
export type Props = Record<string, unknown> & { key?: string | number; hook?: Hook };

/** For what has to be done to the element itself. */
export interface Hook {
  mount?(element: HTMLElement): void;
  update?(element: HTMLElement): void;
  unmount?(element: HTMLElement): void;
}

export interface VNode {
  tag: string;
  props: Props;
  children: (VNode | string)[];
  element?: Element | Text;
}

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set("svg g path circle rect line text tspan title polyline use defs".split(" "));

export function h(tag: string, props?: Props | null, ...children: Children[]): VNode {
  const flat: (VNode | string)[] = [];
  for (const child of children.flat(9) as Child[]) {
    if (child === null || child === undefined || child === false) continue;
    flat.push(typeof child === "object" ? child : String(child));
  }
  return { tag, props: props ?? {}, children: flat };
}

type Handlers = Record<string, Handler>;

function setProp(element: Element, name: string, value: unknown, before: unknown): void {
  if (name === "key" || name === "hook" || value === before) return;
  if (name.startsWith("on")) {
    // One listener stays; what it calls changes with each render.
    const holder = element as Element & { handlers?: Handlers };
    const type = name.slice(2);
    if (!holder.handlers) holder.handlers = {};
    if (!(type in holder.handlers)) {
      element.addEventListener(type, (event) => holder.handlers?.[type]?.(event as never), {
        passive: type === "touchstart",
      });
    }
    holder.handlers[type] = value as Handler;
    return;
  }
  if (name === "style") {
    (element as HTMLElement).style.cssText = String(value ?? "");
    return;
  }
  if (name === "value" || name === "checked" || name === "selected" || name === "open") {
    const field = element as unknown as Record<string, unknown>;
    if (name === "open" && element.tagName !== "DETAILS") return;
    if (field[name] !== value) field[name] = value;
    return;
  }
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

function create(node: VNode | string, svg: boolean): Element | Text {
  if (typeof node === "string") return document.createTextNode(node);
  const inside = svg || node.tag === "svg";
  const element =
    inside && SVG_TAGS.has(node.tag) ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  node.element = element;
  for (const child of node.children) element.appendChild(create(child, inside));
  // After the children: a select's value needs its options.
  for (const [name, value] of Object.entries(node.props)) setProp(element, name, value, undefined);
  node.props.hook?.mount?.(element as HTMLElement);
  return element;
}

function discard(node: VNode | string): void {
  if (typeof node === "string") return;
  node.props.hook?.unmount?.(node.element as HTMLElement);
  for (const child of node.children) discard(child);
}

function same(a: VNode | string, b: VNode | string): boolean {
  if (typeof a === "string" || typeof b === "string") return typeof a === typeof b;
  return a.tag === b.tag && a.props.key === b.props.key;
}

function patchElement(element: Element, before: VNode, after: VNode): void {
  after.element = element;
  const inside = element.namespaceURI === SVG;
  for (const name of Object.keys(before.props)) {
    if (!(name in after.props)) setProp(element, name, undefined, before.props[name]);
  }
  patchChildren(element, before.children, after.children, inside);
  for (const [name, value] of Object.entries(after.props)) setProp(element, name, value, before.props[name]);
  const hook = after.props.hook;
  if (!hook) before.props.hook?.unmount?.(element as HTMLElement);
  else if (before.props.hook) hook.update?.(element as HTMLElement);
  else hook.mount?.(element as HTMLElement);
}

function patchChildren(parent: Element, before: (VNode | string)[], after: (VNode | string)[], svg: boolean): void {
  const elements = [...parent.childNodes] as (Element | Text)[];
  const keyed = new Map<string | number, number>();
  before.forEach((node, index) => {
    if (typeof node === "object" && node.props.key !== undefined) keyed.set(node.props.key, index);
  });
  const used = new Set<number>();
  let cursor = 0;
  let place: ChildNode | null = parent.firstChild;
  for (const node of after) {
    let index = -1;
    const key = typeof node === "object" ? node.props.key : undefined;
    if (key !== undefined) {
      const found = keyed.get(key);
      if (found !== undefined && !used.has(found) && same(before[found]!, node)) index = found;
    } else {
      while (cursor < before.length && (used.has(cursor) || keyOf(before[cursor]!) !== undefined)) cursor++;
      if (cursor < before.length && same(before[cursor]!, node)) index = cursor++;
    }
    let element: Element | Text;
    if (index >= 0) {
      used.add(index);
      element = elements[index]!;
      const old = before[index]!;
      if (typeof node === "string") {
        if (node !== old) element.textContent = node;
      } else patchElement(element as Element, old as VNode, node);
    } else element = create(node, svg);
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
  }
  before.forEach((node, index) => {
    if (used.has(index)) return;
    discard(node);
    elements[index]!.remove();
  });
}

function keyOf(node: VNode | string): string | number | undefined {
  return typeof node === "object" ? node.props.key : undefined;
}

const roots = new WeakMap<Element, VNode>();

/** Makes the inside of `root` what `node` says. */
export function render(root: Element, node: VNode): void {
  const before = roots.get(root);
  if (before) {
    if (same(before, node)) patchElement(before.element as Element, before, node);
    else {
      discard(before);
      root.replaceChildren(create(node, false));
    }
  } else root.replaceChildren(create(node, false));
  roots.set(root, node);
}
