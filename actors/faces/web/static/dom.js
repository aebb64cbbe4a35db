// Elements from plain values. Text only ever becomes text nodes: nothing a task carries can become markup.
const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "line", "g", "text", "title", "circle", "rect"]);

export function h(tag, props, ...children) {
  const el = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) { el[name] = value; (el.handlers ||= []).push(name); }
    else if (name === "value") { el.value = value; el.setAttribute("value", value); }
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  add(el, children);
  return el;
}

function add(el, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(el, child);
    else if (child === null || child === undefined || child === false) continue;
    else el.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

// Make `old` look like `fresh` and keep what a person has in hand: focus, selection, scrolling.
export function morph(old, fresh) {
  const before = [...old.childNodes], after = [...fresh.childNodes];
  after.forEach((node, i) => {
    const there = before[i];
    if (!there) old.append(node);
    else if (there.nodeType !== node.nodeType || there.nodeName !== node.nodeName || there.dataset?.key !== node.dataset?.key)
      there.replaceWith(node);
    else if (node.nodeType === 3) { if (there.data !== node.data) there.data = node.data; }
    else if (!there.dataset?.sure) { sync(there, node); morph(there, node); }
  });
  before.slice(after.length).forEach((node) => node.remove());
}

function sync(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of old.handlers || []) old[name] = null;
  for (const name of fresh.handlers || []) old[name] = fresh[name];
  old.handlers = fresh.handlers;
  if ("value" in fresh && fresh.hasAttribute("value") && old !== document.activeElement) old.value = fresh.value;
}

// What goes wrong is said in the language of the page.
const language = () => ({ "accept-language": document.documentElement.lang });

export async function ask(path) {
  const answer = await fetch(path, { headers: { accept: "application/json", ...language() } });
  return read(answer);
}

export async function act(verb, body) {
  const answer = await fetch(`/api/act/${verb}`, {
    method: "POST", headers: { "content-type": "application/json", "x-elf": "1", ...language() }, body: JSON.stringify(body),
  });
  return read(answer);
}

async function read(answer) {
  const body = await answer.json().catch(() => ({ error: `${answer.status} ${answer.statusText}` }));
  if (answer.status === 401) location.assign("/");
  if (!answer.ok) throw new Error(body.error || answer.statusText);
  return body;
}
