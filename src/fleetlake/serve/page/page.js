// What is chosen, and the parts of the page that follow it.

const KINDS = Object.keys(SHAPES);
const PLAY_S = 30; // how long a whole day takes to play
const hiddenKinds = new Set();
let time = null; // of day, in seconds, once the clock was touched
let playing = false;

const map = createMap(byId("map"), byId("map-tip"), { onPoint: point, onChoose: choose });
const chart = createChart(byId("chart"), { onPoint: point, onChoose: choose });
const of = (list, device = byId("vehicle").value) => list.filter((one) => one.day === byId("day").value && (!device || one.device === device));

function show(keepView = false) {
  const device = byId("vehicle").value, day = byId("day").value;
  history.replaceState(null, "", `#${new URLSearchParams({ day, vehicle: device })}`);
  const events = of(data.marks);
  const shown = { day, device, tracks: of(tracks, ""), marks: events.filter((event) => !hiddenKinds.has(event.kind ?? "stop")) };
  map.show(shown, keepView);
  chart.show(shown, document.querySelector("[name=axis]:checked").value);
  byId("axis").hidden = !device;
  byId("map-title").textContent = `Where ${device || "they"} drove on ${longDay(day)}`;
  byId("chart-title").textContent = device ? `Speed of ${device}` : "Distance over time";
  byId("chart-readout").textContent = "";
  byId("counts-card").hidden = !data.counts.length || day !== data.first || Boolean(device); // of the last run as a whole
  showTiles(events);
  showTrips(device);
  showEvents(events);
  showClock(shown.tracks.filter((track) => !device || track.device === device));
}

function showTiles(events) {
  const trips = of(data.trips), sum = (list, value) => list.reduce((total, one) => total + value(one), 0);
  const drawn = new Set(of(tracks).map((track) => track.device)).size, all = data.days.find((one) => one.day === byId("day").value)?.vehicles;
  const stops = events.filter((event) => !event.kind).length;
  const top = trips.reduce((best, trip) => Math.max(best, trip.top ?? 0), 0);
  const tiles = [
    [plural(drawn, "vehicle"), drawn, !byId("vehicle").value && all > drawn ? `of ${whole(all)}` : ""], [plural(trips.length, "trip"), trips.length, ""],
    ["driven", whole(sum(trips, (trip) => trip.km)), "km"], [plural(stops, "stop"), stops, ""],
    [plural(events.length - stops, "driving event"), events.length - stops, ""], ["top speed", top ? whole(top) : "–", "km/h"],
  ];
  byId("tiles").replaceChildren(...tiles.map(([label, value, unit]) => {
    const number = element("dd", String(value));
    if (unit) number.append(" ", element("small", unit));
    const tile = element("div", "");
    tile.append(element("dt", label), number);
    return tile;
  }));
}

function showTrips(device) {
  const rows = of(data.trips, "").map((trip) => [
    trip.device, clock(trip.start), trip.open ? "under way" : clock(trip.end), span(trip.seconds), tenths(trip.km),
    trip.average === null ? "–" : whole(trip.average), trip.top === null ? "–" : whole(trip.top),
  ]);
  fill(byId("trips"), ["Vehicle", "Start", "End", "Duration", "km", "Mean km/h", "Top km/h"], rows, (row, [name]) => {
    const button = element("button", name);
    button.type = "button";
    button.setAttribute("aria-pressed", name === device);
    button.addEventListener("click", () => choose(name === device ? "" : name));
    row.classList.toggle("chosen", name === device);
    row.cells[0].replaceChildren(button);
    row.cells[0].title = name;
  });
}

function showEvents(events) {
  byId("events-title").textContent = `Stops and driving events (${whole(events.length)})`;
  fill(byId("events"), ["Time", "Vehicle", "What", "Where"],
    events.map((event) => [exactClock(event.start), event.device, describeEvent(event), `${event.lat.toFixed(4)}, ${event.lon.toFixed(4)}`]));
}

function showClock(among) {
  const slider = byId("time");
  slider.min = among.reduce((best, track) => Math.min(best, track.t[0]), 86_400);
  slider.max = among.reduce((best, track) => Math.max(best, track.t.at(-1)), 0);
  slider.step = 1;
  if (time === null) slider.value = slider.max;
  setTime(time === null ? null : Number(slider.value));
}

function setTime(now) {
  time = now;
  byId("time-shown").textContent = clock(Number(byId("time").value));
  byId("time").setAttribute("aria-valuetext", clock(Number(byId("time").value)));
  map.time(now);
  chart.time(now);
}

function play(on) {
  playing = on;
  byId("play").textContent = on ? "Pause" : "Play";
  byId("play").setAttribute("aria-pressed", on);
  if (!on) return;
  const slider = byId("time");
  if (Number(slider.value) >= Number(slider.max)) slider.value = slider.min;
  let at = Number(slider.value), last = performance.now();
  requestAnimationFrame(function step(now) {
    if (!playing) return;
    at += ((now - last) / 1000 / PLAY_S) * (slider.max - slider.min);
    last = now;
    slider.value = at;
    setTime(Math.min(at, Number(slider.max)));
    if (at < slider.max) requestAnimationFrame(step); else play(false);
  });
}

function point(now) {
  map.cursor(now);
  chart.cursor(now);
  byId("chart-readout").textContent = now ? `${byId("vehicle").value ? "" : `${now.track.device} · `}${describe(now)}` : "";
}

function choose(device) {
  byId("vehicle").value = device;
  show();
}

function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}

function fill(table, heads, rows, finish = () => {}) {
  const caption = table.caption;
  table.replaceChildren(...(caption ? [caption] : []));
  const head = table.createTHead().insertRow(), body = table.createTBody();
  for (const text of heads) head.append(Object.assign(element("th", text), { scope: "col" }));
  for (const cells of rows) {
    const row = body.insertRow();
    for (const text of cells) row.insertCell().textContent = text;
    finish(row, cells);
  }
}

function fillVehicles(wanted = byId("vehicle").value) {
  const devices = [...new Set(of(tracks, "").map((track) => track.device))].sort();
  byId("vehicle").replaceChildren(new Option("all", ""), ...devices.map((device) => new Option(device, device)));
  byId("vehicle").value = devices.includes(wanted) ? wanted : "";
}

function fillCounts() {
  const good = ({ landed, quarantined, deduplicated }) => landed - quarantined - deduplicated;
  fill(byId("counts"), ["Topic", "Produced", "Landed", "Quaran\u00adtined", "Dedupli\u00adcated", "Good"],
    data.counts.map((count) => [count.topic, ...[count.produced, count.landed, count.quarantined, count.deduplicated, good(count)].map(whole)]));
}

function start() {
  const days = data.days.map((one) => one.day);
  byId("nothing").hidden = days.length > 0;
  byId("controls").hidden = byId("main").hidden = !days.length;
  if (!days.length) return;
  const asked = new URLSearchParams(location.hash.slice(1));
  byId("day").replaceChildren(...days.map((day) => new Option(longDay(day), day)));
  byId("day").value = [asked.get("day"), data.first].find((day) => days.includes(day)) ?? days[0];
  byId("day").addEventListener("change", () => { play(false); time = null; fillVehicles(); show(); });
  byId("vehicle").addEventListener("change", () => show());
  byId("axis").addEventListener("change", () => show(true));
  byId("time").addEventListener("input", () => { play(false); setTime(Number(byId("time").value)); });
  byId("play").addEventListener("click", () => play(!playing));
  wireZoom(map);
  addEventListener("beforeprint", () => { byId("events").closest("details").open = true; });
  fillLegend(data.tracks, KINDS, (kind, on) => {
    if (on) hiddenKinds.delete(kind); else hiddenKinds.add(kind);
    show(true);
  });
  fillCounts();
  fillVehicles(asked.get("vehicle"));
  show();
}

start();
