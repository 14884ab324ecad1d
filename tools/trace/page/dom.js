/* Elements, made in one expression. Text is always text: nothing of a recording becomes markup. */

const byId = (id) => document.getElementById(id);

/* make("a", {href, onclick, class: "x"}, "text", child, …); null children are left out. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties))
    if (value === undefined || value === null)
      continue;
    else if (key.startsWith("on"))
      element.addEventListener(key.slice(2), value);
    else if (key === "style")
      element.style.cssText = value;
    else
      element.setAttribute(key, value);
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return element;
}

function setPressed(button, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
}

function isPressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}

const OPAQUE = { alpha: false };

/* Gives the canvas the size that it has on the page, in the screen's own pixels. Its context then
 * counts in CSS pixels. `kind`: as getContext takes it. */
function fitCanvas(canvas, width, height, kind = undefined) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * ratio)), h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d", kind);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/* Tells a screen reader. */
function say(sentence) {
  byId("said").textContent = sentence;
}
