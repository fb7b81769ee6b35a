// Storefront: one page over the server's own REST; the state of a search is in the address, so that "back" works.

const PAGE_SIZE = 24;
const ORDER_NAMES = { popularity: "Popularity", price_up: "Price, low to high", price_down: "Price, high to low", newest: "Newest", rating: "Rating" };
const FACET_NAMES = { brand: "Brand", price: "Price", currency: "Currency" };
const VOICE_HZ = 16000;
const LONGEST_VOICE_MS = 10000;
const $ = (id) => document.getElementById(id);

let settings = { models: [], has_media: false, takes_events: false };
let known = { display_fields: [], facets: [], orders: [], max_page_size: PAGE_SIZE };
let state = blank();
let queryId = "";
let latest = 0; // number of the newest search: the answers of older ones are not shown

function blank() {
  return { text: "", refused: new Set(), image: null, audio: null, seeds: new Map(), chosen: new Map(), inStock: false, order: "", page: 1 };
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// ---- the server

async function request(path, body) {
  const token = sessionStorage.getItem("token");
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const options = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(path, options).catch(() => {
    throw new Error("The server cannot be reached.");
  });
  if (answer.status === 401) {
    const given = window.prompt("This server wants a token");
    if (given) {
      sessionStorage.setItem("token", given.trim());
      return request(path, body);
    }
  }
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error || `The server answered with ${answer.status}.`);
  return found;
}

async function predict(signature, inputs) {
  const name = encodeURIComponent(settings.models[0]);
  const found = await request(`/v1/models/${name}:predict`, { signature_name: signature, instances: [inputs] });
  const row = found.predictions[0];
  return { ...(typeof row === "object" ? row : { only: row }), query_id: found.query_id || "" }; // a signature of one output gives it bare
}

function report(action, id, place) {
  if (!settings.takes_events) return;
  const event = {
    action_name: action,
    query_id: queryId,
    client_id: client(),
    timestamp: new Date().toISOString(),
    event_attributes: { object: { object_id: id }, position: { ordinal: place } },
  };
  request("/v1/events", event).catch((error) => console.warn("The event was not taken:", error.message));
}

function client() {
  if (!localStorage.getItem("client")) localStorage.setItem("client", crypto.randomUUID());
  return localStorage.getItem("client");
}

// ---- the query

function filters() {
  const inputs = {};
  const categories = [], attributes = [];
  for (const [facet, values] of state.chosen) {
    if (facet === "brand") inputs.filter_brand = [...values];
    else if (facet === "currency") inputs.filter_currency = [...values];
    else if (facet === "price") {
      const [low, high] = [...values][0].split(":");
      if (low) inputs.filter_price_min = Number(low);
      if (high) inputs.filter_price_max = Number(high);
    } else if (facet.startsWith("category")) categories.push(...values);
    else attributes.push(...[...values].map((value) => `${facet.slice("attributes.".length)}=${value}`));
  }
  if (categories.length) inputs.filter_category = categories;
  if (attributes.length) inputs.filter_attributes = attributes;
  if (state.inStock) inputs.filter_in_stock = 1;
  return inputs;
}

function query() {
  const inputs = { ...filters(), query_text: state.text };
  if (state.image) inputs.query_image = { b64: state.image.base64 };
  if (state.audio) inputs.query_audio = { b64: state.audio };
  if (state.seeds.size) {
    inputs.seed_item_ids = [...state.seeds.keys()];
    inputs.seed_item_weights = [...state.seeds.values()];
  }
  if (state.refused.size && !isSorted()) inputs.refused_constraints = [...state.refused];
  return inputs;
}

// Only words and filters can be sorted: what a photo, a voice or an item is like is known by relevance alone.
function isSorted() {
  return known.orders.includes(state.order) && !state.image && !state.audio && !state.seeds.size;
}

async function search({ keepsAddress = false } = {}) {
  const number = ++latest;
  if (!keepsAddress) history.pushState(null, "", address());
  showParts();
  $("status").textContent = "Searching …";
  const inputs = query(), sorted = isSorted();
  const page = { page: state.page, page_size: Math.min(PAGE_SIZE, known.max_page_size), fields: known.display_fields };
  try {
    const [found, facets] = await Promise.all([
      sorted ? predict("browse", { ...inputs, ...page, sort_by: state.order }) : predict("search", { ...inputs, ...page }),
      known.facets.length ? predict("facets", { ...filters(), query_text: state.text, facets: known.facets }) : null,
    ]);
    if (number !== latest) return;
    queryId = found.query_id;
    showResults(found, inputs, sorted);
    showFacets(facets);
  } catch (error) {
    if (number === latest) showProblem(error);
  }
}

function showProblem(error) {
  $("items").replaceChildren();
  $("pages").replaceChildren();
  $("status").textContent = `The search failed. ${error.message}`;
}

// ---- the address

function address() {
  const parts = new URLSearchParams();
  if (state.text) parts.set("q", state.text);
  if (state.page > 1) parts.set("page", state.page);
  if (state.inStock) parts.set("in_stock", "1");
  if (state.order) parts.set("sort", state.order);
  for (const [facet, values] of state.chosen) for (const value of values) parts.append(`f.${facet}`, value);
  for (const [id, weight] of state.seeds) parts.append(weight > 0 ? "more" : "less", id);
  for (const name of state.refused) parts.append("as_words", name);
  const text = parts.toString();
  return text ? `?${text}` : location.pathname;
}

function readAddress() {
  const parts = new URLSearchParams(location.search);
  state = { ...blank(), image: state.image, audio: state.audio };
  state.text = parts.get("q") || "";
  state.page = Math.max(1, Number(parts.get("page")) || 1);
  state.inStock = parts.has("in_stock");
  state.order = known.orders.includes(parts.get("sort")) ? parts.get("sort") : "";
  for (const [name, value] of parts) {
    if (name.startsWith("f.")) choose(name.slice(2), value, true);
    if (name === "as_words") state.refused.add(value);
    if (name === "more" || name === "less") state.seeds.set(value, name === "more" ? 1 : -0.5);
  }
  $("text").value = state.text;
}

function choose(facet, value, isOn) {
  const values = state.chosen.get(facet) || new Set();
  if (facet === "price" && isOn) values.clear();
  if (isOn) values.add(value);
  else values.delete(value);
  if (values.size) state.chosen.set(facet, values);
  else state.chosen.delete(facet);
}

// ---- what is shown

function rows(found) {
  return found.ids.slice(0, found.num_results).map((id, place) => ({
    id,
    place,
    ...Object.fromEntries(known.display_fields.map((name, column) => [name, (found.display[place] || [])[column] || ""])),
  }));
}

function photo(uri, title) {
  const isWeb = /^https:\/\//i.test(uri);
  if (!uri || (!isWeb && !settings.has_media)) return element("div", { class: "picture", "aria-hidden": "true" });
  const source = isWeb ? uri : `/media/${uri.split("/").map(encodeURIComponent).join("/")}`;
  return element("img", { class: "picture", src: source, alt: title, loading: "lazy" });
}

function facts(item) {
  const price = item.price ? `${item.price} ${item.currency || ""}`.trim() : "";
  return element("p", { class: "facts" }, [item.brand, price].filter(Boolean).join(" · "));
}

function showResults(found, inputs, sorted) {
  const items = rows(found);
  const size = Math.min(PAGE_SIZE, known.max_page_size);
  const products = found.total_matches === 1 ? "1 product" : `${found.total_matches} products`;
  const unknown = (found.unknown_words || []).filter(Boolean);
  const remark = unknown.length ? ` No item has ${unknown.map((word) => `“${word}”`).join(", ")}.` : "";
  const counted = sorted ? `${products} ${found.total_matches === 1 ? "matches" : "match"}.` : `${products} pass the filters.`;
  $("status").textContent = (items.length ? counted : "Nothing was found.") + remark;
  $("items").replaceChildren(...items.map((item) => card(item, sorted ? null : inputs)));
  showParts((found.constraints || []).filter((name, place) => name && found.constraints_applied[place]));
  showPages(items.length === size);
}

// What the words state, as a person reads it: "price=:50 EUR" is "price up to 50 EUR".
function constraintLabel(name) {
  if (name === "good_value") return "good value";
  const [key, value] = [name.slice(0, name.indexOf("=")), name.slice(name.indexOf("=") + 1)];
  if (key === "without") return `without ${value}`;
  if (key !== "price") return `${key.replaceAll("_", " ")}: ${value}`;
  const [, low, high, currency] = /^([^:]*):(\S*)(.*)$/.exec(value);
  return `price ${low && high ? `${low} to ${high}` : low ? `from ${low}` : `up to ${high}`}${currency}`;
}

// A card of a result; `inputs` are those of the search that found it, null where results are sorted and have no reasons.
function card(item, inputs) {
  const title = item.title || item.id;
  const why = element("dl", { class: "why", hidden: true });
  const explain = async (event) => {
    why.hidden = !why.hidden;
    event.target.setAttribute("aria-expanded", String(!why.hidden));
    if (!why.hidden && !why.childElementCount) why.replaceChildren(...(await reasons(item, inputs)));
  };
  return element(
    "li",
    { "data-id": item.id },
    photo(item.image_uri || "", title),
    element("button", { class: "name", type: "button", onclick: () => open(item) }, title),
    facts(item),
    element(
      "div",
      { class: "actions" },
      inputs ? element("button", { type: "button", "aria-expanded": "false", "data-action": "why", onclick: explain }, "Why this?") : "",
      element("button", { type: "button", "data-action": "more", onclick: () => seed(item, 1) }, "More like this"),
      element("button", { type: "button", "data-action": "less", onclick: () => seed(item, -0.5) }, "Less"),
    ),
    why,
  );
}

// Bars of what adds up to the score: the parts of the query over all branches of the item, then the other contributions.
async function reasons(item, inputs) {
  let found;
  try {
    found = await predict("explain", { ...inputs, item_id: item.id });
  } catch (error) {
    return [element("dt", {}, error.message)];
  }
  const parts = found.query_components.map((name, row) => [name, found.contribution_matrix[row].reduce((a, b) => a + b, 0)]);
  for (const [name, value] of Object.entries(found)) {
    if (name.startsWith("contribution_") && typeof value === "number") parts.push([name.slice("contribution_".length), value]);
  }
  const shown = parts.filter(([, value]) => Math.abs(value) >= 0.0005).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const most = Math.max(...shown.map(([, value]) => Math.abs(value)), 1e-9);
  return [...shown, ["score", found.score]].flatMap(([name, value]) => [
    element("dt", {}, name.replaceAll("_", " ")),
    element("meter", { min: 0, max: 1, value: Math.min(1, Math.abs(value) / most), "aria-hidden": "true" }),
    element("dd", value < 0 ? { class: "minus" } : {}, value.toFixed(3)),
  ]);
}

function showPages(hasNext) {
  const to = (page) => () => {
    state.page = page;
    search().then(() => $("results").focus());
  };
  const buttons = [];
  if (state.page > 1) buttons.push(element("button", { type: "button", onclick: to(state.page - 1) }, "Previous"));
  buttons.push(element("button", { type: "button", "aria-current": "page" }, String(state.page)));
  if (hasNext) buttons.push(element("button", { type: "button", onclick: to(state.page + 1) }, "Next"));
  $("pages").replaceChildren(...(state.page > 1 || hasNext ? buttons : []));
}

function showFacets(found) {
  const change = (facet, value) => (event) => {
    choose(facet, value, event.target.checked);
    state.page = 1;
    search();
  };
  const groups = known.facets.map((facet, place) => {
    const chosen = state.chosen.get(facet) || new Set();
    const counts = new Map();
    if (found) found.facet_values[place].forEach((value, i) => value && counts.set(value, found.facet_counts[place][i]));
    for (const value of chosen) if (!counts.has(value)) counts.set(value, 0);
    const options = [...counts].map(([value, count]) =>
      element(
        "label",
        {},
        element("input", { type: "checkbox", checked: chosen.has(value), onchange: change(facet, value), value }),
        element("span", {}, facet === "price" ? value.replace(":", " – ") : value),
        element("span", {}, String(count)),
      ),
    );
    const name = FACET_NAMES[facet] || facet.replace(/^attributes\./, "").replace(/^category\.1$/, "Category").replace(/^category\./, "Category, level ");
    return options.length ? element("fieldset", { "data-facet": facet }, element("legend", {}, name), element("div", { class: "values" }, ...options)) : "";
  });
  const stock = element("input", { type: "checkbox", checked: state.inStock, id: "in-stock" });
  stock.addEventListener("change", () => {
    state.inStock = stock.checked;
    state.page = 1;
    search();
  });
  const held = document.activeElement?.closest("#facets") ? document.activeElement.value : null;
  $("facets").replaceChildren(element("fieldset", {}, element("label", {}, stock, "In stock")), ...groups);
  if (held) [...$("facets").elements].find((input) => input.value === held)?.focus();
}

function showOrder() {
  const option = (value, name) => element("option", { value, selected: value === state.order }, name);
  $("order").replaceChildren(option("", "Relevance"), ...known.orders.map((name) => option(name, ORDER_NAMES[name] || name)));
  $("order").disabled = !known.orders.length || !!(state.image || state.audio || state.seeds.size);
  if ($("order").disabled) $("order").value = "";
}

function showParts(constraints = []) {
  showOrder();
  const part = (label, drop, ...more) =>
    element("li", {}, ...more, label, element("button", { type: "button", "aria-label": `Remove ${label}`, onclick: () => { drop(); state.page = 1; search(); } }, "×"));
  const parts = [];
  if (state.image) parts.push(part("photo", () => { state.image = null; }, element("img", { src: state.image.preview, alt: "" })));
  if (state.audio) parts.push(part("voice", () => { state.audio = null; }));
  for (const [id, weight] of state.seeds) parts.push(part(`${weight > 0 ? "more" : "less"} like ${id}`, () => { state.seeds.delete(id); }));
  for (const name of constraints) parts.push(part(constraintLabel(name), () => { state.refused.add(name); }));
  for (const name of state.refused) parts.push(part(`not read as ${constraintLabel(name)}`, () => { state.refused.delete(name); }));
  $("parts").replaceChildren(...parts);
}

function seed(item, weight) {
  state.seeds.set(item.id, weight);
  state.page = 1;
  search();
}

async function open(item) {
  report("click", item.id, item.place + 1 + (state.page - 1) * PAGE_SIZE);
  const title = item.title || item.id;
  const shelf = element("ul", { class: "shelf" });
  const close = element("button", { type: "button", onclick: () => $("item").close() }, "Close");
  const heading = element("h2", { id: "item-title" }, title);
  $("item").replaceChildren(close, heading, photo(item.image_uri || "", title), facts(item), element("h3", {}, "Similar items"), shelf);
  if (!$("item").open) $("item").showModal();
  try {
    const found = await predict("similar_items", { item_id: item.id, page_size: 8, fields: known.display_fields });
    const near = rows(found).map((other) =>
      element("li", { "data-id": other.id }, photo(other.image_uri || "", other.title), element("button", { class: "name", type: "button", onclick: () => open(other) }, other.title || other.id), facts(other)),
    );
    shelf.replaceChildren(...near);
  } catch (error) {
    shelf.replaceChildren(element("li", {}, error.message));
  }
}

// ---- completion: a combobox, https://www.w3.org/WAI/ARIA/apg/patterns/combobox/

let waiting = 0;

function showCompletions(texts) {
  const list = $("completions");
  list.replaceChildren(
    ...texts.map((text, place) => element("li", { role: "option", id: `completion-${place}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); take(text); } }, text)),
  );
  list.hidden = !texts.length;
  $("text").setAttribute("aria-expanded", String(!!texts.length));
  $("text").removeAttribute("aria-activedescendant");
}

function take(text) {
  $("text").value = text;
  submit();
}

function move(step) {
  const options = [...$("completions").children];
  if ($("completions").hidden || !options.length) return;
  const at = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  const next = (at + step + options.length + (at < 0 && step < 0 ? 1 : 0)) % options.length;
  options.forEach((option, place) => option.setAttribute("aria-selected", String(place === next)));
  $("text").setAttribute("aria-activedescendant", options[next].id);
  $("text").value = options[next].textContent;
}

function typed() {
  clearTimeout(waiting);
  const text = $("text").value;
  if (!text.trim()) return showCompletions([]);
  waiting = setTimeout(async () => {
    const found = await predict("complete", { query_text: text }).catch(() => null);
    if (found && $("text").value === text && document.activeElement === $("text")) showCompletions(found.completions.slice(0, found.num_results).slice(0, 8));
  }, 120);
}

function submit() {
  clearTimeout(waiting);
  showCompletions([]);
  const text = $("text").value.trim();
  if (text !== state.text) state.refused.clear();
  state.text = text;
  state.page = 1;
  search();
}

// ---- photos and voices

async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

async function usePhoto(file) {
  if (!file || !file.type.startsWith("image/")) return;
  if (state.image) URL.revokeObjectURL(state.image.preview);
  state.image = { base64: await base64(file), preview: URL.createObjectURL(file) };
  state.page = 1;
  search();
}

// A recording of the browser, whatever its kind, as WAV of 16 kHz, one channel, 16 bit: what the server reads.
export async function wav(recorded) {
  const decoded = await new AudioContext().decodeAudioData(await recorded.arrayBuffer());
  const offline = new OfflineAudioContext(1, Math.max(1, Math.round(decoded.duration * VOICE_HZ)), VOICE_HZ);
  const source = offline.createBufferSource();
  source.buffer = decoded;
  source.connect(offline.destination);
  source.start();
  const samples = (await offline.startRendering()).getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, value) => [...value].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, VOICE_HZ, true); view.setUint32(28, 2 * VOICE_HZ, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => view.setInt16(44 + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true));
  return new Blob([view.buffer], { type: "audio/wav" });
}

let recorder = null;

async function record() {
  if (recorder) return recorder.stop();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    $("status").textContent = `The microphone cannot be used: ${error.message}`;
    return;
  }
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", async () => {
    stream.getTracks().forEach((track) => track.stop());
    recorder = null;
    $("record").setAttribute("aria-pressed", "false");
    state.audio = await base64(await wav(new Blob(parts)));
    state.page = 1;
    search();
  });
  recorder.start();
  setTimeout(() => recorder?.state === "recording" && recorder.stop(), LONGEST_VOICE_MS);
  $("record").setAttribute("aria-pressed", "true");
}

// ---- start

$("search").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("text").addEventListener("input", typed);
$("text").addEventListener("blur", () => showCompletions([]));
$("text").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); move(event.key === "ArrowDown" ? 1 : -1); }
  if (event.key === "Escape") showCompletions([]);
});
$("photo").addEventListener("change", (event) => { usePhoto(event.target.files[0]); event.target.value = ""; });
$("record").addEventListener("click", record);
$("order").addEventListener("change", (event) => { state.order = event.target.value; state.page = 1; search(); });
$("facets").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => { event.preventDefault(); usePhoto(event.dataTransfer.files[0]); });
document.addEventListener("paste", (event) => { if (event.clipboardData.files.length) usePhoto(event.clipboardData.files[0]); });
window.addEventListener("popstate", () => { readAddress(); search({ keepsAddress: true }); });

async function start() {
  try {
    settings = await request("/ui/settings.json");
    known = { ...known, ...JSON.parse((await predict("wire_spec", { placeholder: 0 })).only) };
  } catch (error) {
    return showProblem(error);
  }
  readAddress();
  await search({ keepsAddress: true });
}

start();
