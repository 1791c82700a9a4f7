// Runs the exported model on pictures, in the page itself: nothing is loaded, nothing is sent.
"use strict";
const said = JSON.parse(document.getElementById("model").textContent);
const [channels, height, width] = said.shape;
const cards = document.getElementById("answers");
const state = document.getElementById("state");

async function unpacked(id) {
  const element = document.getElementById(id);
  const packed = Uint8Array.from(atob(element.textContent), (sign) => sign.charCodeAt(0));
  element.remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function open() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = (await unpacked("runtime")).buffer;
  return ort.InferenceSession.create(await unpacked("weights"), { executionProviders: ["wasm"] });
}

// Antialiased bilinear resizing along one axis, as Python does it: a triangle as wide as the reduction.
function weights(from, to) {
  const scale = from / to, reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const middle = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - reach + 0.5)), end = Math.min(from, Math.trunc(middle + reach + 0.5));
    const found = [];
    for (let i = first; i < end; i++) found.push(Math.max(0, 1 - Math.abs((i + 0.5 - middle) / reach)));
    const sum = found.reduce((a, b) => a + b, 0);
    return { first, found: found.map((value) => value / sum) };
  });
}

function resized(plane, h, w) {
  if (h === height && w === width) return plane;
  const across = weights(w, width), down = weights(h, height);
  const middle = new Float32Array(h * width), made = new Float32Array(height * width);
  for (let y = 0; y < h; y++)
    across.forEach(({ first, found }, x) => {
      let sum = 0;
      found.forEach((weight, i) => { sum += weight * plane[y * w + first + i]; });
      middle[y * width + x] = sum;
    });
  down.forEach(({ first, found }, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      found.forEach((weight, i) => { sum += weight * middle[(first + i) * width + x]; });
      made[y * width + x] = sum;
    }
  });
  return made;
}

// A row of the model: one plane a channel; grey by luma in whole numbers, as Python's images have it.
function row(image) {
  const { data } = image, count = image.width * image.height;
  const grey = (i) => (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >> 16;
  const made = new Uint8Array(channels * height * width);
  for (let channel = 0; channel < channels; channel++) {
    const plane = Float32Array.from({ length: count }, (_, i) => (channels === 1 ? grey(4 * i) : data[4 * i + channel]));
    const small = resized(plane, image.height, image.width);
    small.forEach((value, i) => { made[channel * height * width + i] = Math.min(255, Math.max(0, evenly(value))); });
  }
  return made;
}

function evenly(value) {
  const low = Math.floor(value), rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
}

async function answer(pixels) {
  const began = performance.now();
  const found = await session.run({ rows: new ort.Tensor("uint8", pixels, [1, channels, height, width]) });
  const taken = performance.now() - began, scores = found.scores.data;
  if (!said.classes) return { number: scores[0], taken };
  const largest = Math.max(...scores), shares = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = shares.reduce((a, b) => a + b, 0);
  const order = shares.map((_, i) => i).sort((a, b) => shares[b] - shares[a]);
  return { taken, top: order.slice(0, 3).map((i) => [said.classes[i], shares[i] / sum]) };
}

function seen(pixels) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const image = new ImageData(width, height), size = width * height;
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[(channels === 1 ? 0 : c * size) + i];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function card(name, pixels, told) {
  const item = Object.assign(document.createElement("li"), { className: "card" });
  item.dataset.name = name;
  item.append(seen(pixels));
  if (told.top) {
    item.dataset.prediction = told.top[0][0];
    for (const [label, share] of told.top) {
      const line = Object.assign(document.createElement("span"), { className: "guess" });
      line.style.setProperty("--share", `${(100 * share).toFixed(1)}%`);
      line.append(label, Object.assign(document.createElement("small"), { textContent: ` ${(100 * share).toFixed(1)} %` }));
      item.append(line);
    }
  } else {
    item.dataset.prediction = told.number;
    item.append(Object.assign(document.createElement("span"), { className: "guess", textContent: told.number.toPrecision(4) }));
  }
  item.append(Object.assign(document.createElement("span"), { className: "file", textContent: name, title: name }));
  return item;
}

async function pixelsOf(file) {
  const picture = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(picture.width, picture.height), context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, picture.width, picture.height);
}

async function take(files) {
  let asked = 0, sum = 0, bad = [];
  for (const file of files) {
    try {
      const pixels = row(await pixelsOf(file)), told = await answer(pixels);
      cards.prepend(card(file.name, pixels, told));
      asked += 1;
      sum += told.taken;
    } catch (error) {
      bad.push(file.name);
    }
  }
  const rest = bad.length ? ` ${bad.join(", ")}: no picture that this browser can read.` : "";
  state.textContent = `${asked} ${asked === 1 ? "picture" : "pictures"}, ${(sum / Math.max(asked, 1)).toFixed(1)} ms each in this browser.${rest}`;
  state.dataset.asked = asked;
}

const drop = document.getElementById("drop");
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take(event.dataTransfer.files);
});
document.getElementById("pictures").addEventListener("change", (event) => take(event.target.files));

const pad = document.getElementById("pad");
if (pad) {
  const pen = pad.getContext("2d");
  const clear = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, pad.width, pad.height); };
  const place = (event) => {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) * pad.width) / box.width, ((event.clientY - box.top) * pad.height) / box.height];
  };
  clear();
  Object.assign(pen, { strokeStyle: "#fff", lineWidth: pad.width / 13, lineCap: "round", lineJoin: "round" });
  let last = null;
  pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); last = place(event); });
  pad.addEventListener("pointermove", (event) => {
    if (!last) return;
    const now = place(event);
    pen.beginPath();
    pen.moveTo(...last);
    pen.lineTo(...now);
    pen.stroke();
    last = now;
  });
  pad.addEventListener("pointerup", async () => {
    last = null;
    const pixels = row(pen.getImageData(0, 0, pad.width, pad.height)), told = await answer(pixels);
    document.getElementById("drawn").replaceChildren(card("as the model sees it", pixels, told));
  });
  document.getElementById("clear").addEventListener("click", () => {
    clear();
    document.getElementById("drawn").replaceChildren();
  });
}

let session;
try {
  session = await open();
  state.textContent = "Ready.";
  state.dataset.ready = "yes";
  document.getElementById("pictures").disabled = false;
} catch (error) {
  state.textContent = `The model cannot be run in this browser (${error.message}); a newer one can.`;
}
