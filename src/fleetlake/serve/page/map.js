// The map: Mercator, drawn by hand in SVG pixels, so that lines and letters keep their size at any zoom.

const CITIES = 12; // so many are named even if the name covers a drive
const DEGREES = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005];
const KILOMETRES = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200];
const CROWD = 40; // more marks than these are drawn smaller, or they hide the lines
const NEAR_PX = 20;
const DEEPEST = 2 ** 27; // pixels around the world: 0.3 m each
const CELL_PX = 6;
const LAYERS = ["grid", "lines", "towns", "marks", "vehicles", "cursor", "scale"];

const cell = (x, y) => `${Math.floor(x / CELL_PX)} ${Math.floor(y / CELL_PX)}`;
function* cells(left, right, top, bottom) {
  for (let x = left; x < right + CELL_PX; x += CELL_PX) for (let y = top; y < bottom + CELL_PX; y += CELL_PX) yield cell(Math.min(x, right), Math.min(y, bottom));
}
function take(busy, ...box) { for (const one of cells(...box)) busy.add(one); }
function covered(busy, ...box) { return [...cells(...box)].filter((one) => busy.has(one)).length; }

/**
 * Draws into an SVG element. show(shown): { day, device or "", tracks, marks }, of the day. time(t): dots where the vehicles were,
 * null for none. cursor(point): a ring, or null. fit(): everything shown in view. onPoint(point or null) and onChoose(device) are
 * told what the pointer is on.
 */
function createMap(svg, tip, { onPoint, onChoose }) {
  const layer = Object.fromEntries(LAYERS.map((name) => [name, draw(svg, "g", { class: name })]));
  let shown = { day: "", device: "", tracks: [], marks: [] }, view = null, moved = false, time = null, ring = null;
  let width = 0, height = 0;
  const redraw = onceAFrame(render);
  const X = (x) => (x - view.x) * view.scale + width / 2;
  const Y = (y) => (y - view.y) * view.scale + height / 2;
  const chosen = () => shown.tracks.filter((track) => !shown.device || track.device === shown.device);

  function fit() {
    const among = chosen(), box = { west: Infinity, east: -Infinity, north: Infinity, south: -Infinity };
    for (const track of among) {
      for (const x of track.x) { box.west = Math.min(box.west, x); box.east = Math.max(box.east, x); }
      for (const y of track.y) { box.north = Math.min(box.north, y); box.south = Math.max(box.south, y); }
    }
    if (!among.length || !width) return;
    const across = width - 2 * Math.min(76, width / 6), down = height - 2 * Math.min(48, height / 8), least = 2e-5;
    const scale = Math.min(across / Math.max(box.east - box.west, least), down / Math.max(box.south - box.north, least));
    view = { x: (box.west + box.east) / 2, y: (box.north + box.south) / 2, scale };
    setMoved(false);
    redraw();
  }

  function setMoved(now) {
    moved = now;
    svg.style.touchAction = now ? "none" : "pan-y"; // a finger scrolls past the map, unless it was zoomed
  }

  function zoom(factor, px = width / 2, py = height / 2) {
    if (!view) return;
    const scale = Math.min(Math.max(view.scale * factor, width), DEEPEST);
    view.x += (px - width / 2) * (1 / view.scale - 1 / scale);
    view.y += (py - height / 2) * (1 / view.scale - 1 / scale);
    view.scale = scale;
    setMoved(true);
    redraw();
  }

  function pan(dx, dy) {
    view.x -= dx / view.scale;
    view.y -= dy / view.scale;
    setMoved(true);
    redraw();
  }

  function render() {
    for (const group of Object.values(layer)) group.replaceChildren();
    if (!view) return;
    drawGrid();
    drawLines();
    drawTowns();
    drawMarks();
    drawScale();
    drawVehicles();
    drawCursor();
  }

  function drawGrid() {
    const perDegree = view.scale / 360, step = DEGREES.findLast((degrees) => degrees * perDegree >= 90) ?? DEGREES[0];
    const digits = Math.max(0, Math.ceil(-Math.log10(step)));
    const west = (view.x - width / 2 / view.scale) * 360 - 180, east = west + width / perDegree;
    const north = latitudeAt(view.y - height / 2 / view.scale), south = latitudeAt(view.y + height / 2 / view.scale);
    const label = (degrees, plus, minus) => `${Math.abs(degrees).toFixed(digits)}° ${Math.abs(degrees) < step / 2 ? "" : degrees > 0 ? plus : minus}`;
    for (let n = Math.ceil(west / step); n * step < east; n++) {
      const x = X(eastward(n * step));
      draw(layer.grid, "path", { d: `M${x} 0V${height}` });
      if (x < width - 60) draw(layer.grid, "text", { x: x + 4, y: 14 }, label(n * step, "E", "W"));
    }
    for (let n = Math.ceil(south / step); n * step < north; n++) {
      const y = Y(southward(n * step));
      draw(layer.grid, "path", { d: `M0 ${y}H${width}` });
      if (y > 34) draw(layer.grid, "text", { x: 6, y: y - 4 }, label(n * step, "N", "S"));
    }
  }

  function path(track, from, to) {
    let d = "M";
    for (let i = from; i <= to; i++) d += `${X(track.x[i]).toFixed(1)} ${Y(track.y[i]).toFixed(1)} `;
    return d;
  }

  function drawLegs(track, style) {
    const starts = [0, ...track.legs];
    const d = starts.map((from, leg) => path(track, from, (starts[leg + 1] ?? track.t.length) - 1)).join("");
    draw(layer.lines, "path", { class: `track ${style}`, d });
  }

  function drawLines() {
    const among = chosen(), last = (track) => track.t.length - 1;
    for (const track of shown.tracks) if (!among.includes(track)) drawLegs(track, "dim");
    for (const track of among) {
      for (const i of track.legs) draw(layer.lines, "path", { class: "track gap", d: path(track, i - 1, i) });
      drawLegs(track, "casing");
    }
    for (const track of among) {
      const lines = [];
      runs(track, (style, from, to) => (lines[style] = (lines[style] ?? "") + path(track, from, to)));
      lines.forEach((d, style) => draw(layer.lines, "path", { class: `track speed s${style}`, d }));
      if (shown.device) for (const i of [0, last(track)]) draw(layer.marks, "circle", { class: i ? "end last" : "end", cx: X(track.x[i]), cy: Y(track.y[i]), r: 6 });
    }
  }

  function drawTowns() {
    const lines = busyCells(), labels = new Set();
    take(labels, width - 150, width, height - 30, height);
    take(labels, width - 56, width, 0, 150);
    TOWNS.forEach(([name, lat, lon], rank) => {
      const x = X(eastward(lon)), y = Y(southward(lat)), letters = name.length * 7.7;
      if (x < 0 || x > width || y < 10 || y > height - 4) return;
      const spots = [[x + 9, y + 4], [x - 9 - letters, y + 4], [x - letters / 2, y - 9], [x - letters / 2, y + 18], [x + 7, y - 8], [x + 7, y + 16], [x - letters - 7, y - 8], [x - letters - 7, y + 16]];
      const under = (busy, [left, base]) => covered(busy, left, left + letters, base - 10, base + 2);
      const possible = spots.filter(([left, base]) => left > 2 && left + letters < width - 2 && base < height - 2).filter((spot) => !under(labels, spot));
      const [least, spot] = possible.map((one) => [under(lines, one), one]).sort(([one], [other]) => one - other)[0] ?? [0, null];
      if (!spot || (least && rank >= CITIES)) return;
      take(labels, spot[0] - 6, spot[0] + letters + 6, spot[1] - 14, spot[1] + 6);
      draw(layer.towns, "circle", { class: "town-dot", cx: x, cy: y, r: 4 });
      draw(layer.towns, "text", { class: "town", x: spot[0], y: spot[1] }, name);
    });
  }

  /** Cells of the screen, as "column row", in which there are lines or marks. */
  function busyCells() {
    const busy = new Set();
    for (const { x, y } of chosen()) {
      for (let i = 1; i < x.length; i++) {
        const steps = Math.min(Math.ceil((Math.hypot(x[i] - x[i - 1], y[i] - y[i - 1]) * view.scale) / CELL_PX), 200);
        for (let n = 0; n <= steps; n++) busy.add(cell(X(x[i - 1] + (n / steps) * (x[i] - x[i - 1])), Y(y[i - 1] + (n / steps) * (y[i] - y[i - 1]))));
      }
    }
    for (const { lat, lon } of shown.marks) take(busy, X(eastward(lon)) - 8, X(eastward(lon)) + 8, Y(southward(lat)) - 8, Y(southward(lat)) + 8);
    return busy;
  }

  function drawMarks() {
    const size = shown.marks.length > CROWD ? 0.65 : 1;
    for (const event of shown.marks) {
      const mark = drawMark(layer.marks, event.kind ?? "stop");
      mark.setAttribute("transform", `translate(${X(eastward(event.lon)).toFixed(1)} ${Y(southward(event.lat)).toFixed(1)}) scale(${size})`);
      mark.event = event;
    }
  }

  function drawScale() {
    const perKm = (view.scale * 1000) / (EARTH_M * Math.cos((latitudeAt(view.y) * Math.PI) / 180));
    const km = KILOMETRES.findLast((n) => n * perKm <= 130) ?? KILOMETRES[0], left = width - 12 - km * perKm, y = height - 10;
    draw(layer.scale, "path", { d: `M${left} ${y - 5}V${y}H${width - 12}V${y - 5}` });
    draw(layer.scale, "text", { x: width - 12, y: y - 9, "text-anchor": "end" }, km < 1 ? `${km * 1000} m` : `${km} km`);
  }

  function drawVehicles() {
    layer.vehicles.replaceChildren();
    if (time === null || !view) return;
    for (const point of chosen().map((track) => at(track, time))) {
      draw(layer.vehicles, "circle", { class: "vehicle", cx: X(point.x).toFixed(1), cy: Y(point.y).toFixed(1), r: 6 });
    }
  }

  function drawCursor() {
    layer.cursor.replaceChildren();
    if (ring && view) draw(layer.cursor, "circle", { class: "cursor", cx: X(ring.x), cy: Y(ring.y), r: 8 });
  }

  /** The point of a chosen drive nearest to a place of the screen, null if none is near. */
  function nearest(px, py) {
    let best = null, least = NEAR_PX ** 2;
    for (const track of chosen()) {
      for (let i = 0, ax = X(track.x[0]), ay = Y(track.y[0]); i + 1 < track.t.length; i++) {
        const bx = X(track.x[i + 1]), by = Y(track.y[i + 1]), long = (bx - ax) ** 2 + (by - ay) ** 2;
        const share = long ? Math.min(Math.max(((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / long, 0), 1) : 0;
        const off = (ax + share * (bx - ax) - px) ** 2 + (ay + share * (by - ay) - py) ** 2;
        if (off < least && !track.legs.has(i + 1)) { least = off; best = { track, i, share }; }
        ax = bx;
        ay = by;
      }
    }
    return best && between(best.track, best.i, best.share);
  }

  function say(text, px, py) {
    tip.hidden = !text;
    tip.textContent = text;
    const right = px > width / 2;
    tip.style.left = right ? "auto" : `${px + 14}px`;
    tip.style.right = right ? `${width - px + 14}px` : "auto";
    tip.style.top = `${Math.max(py - 16, 0)}px`;
  }

  function place(event) {
    const box = svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  function look(event) {
    const [px, py] = place(event), mark = event.target.closest("g")?.event;
    const point = mark ? null : view && nearest(px, py);
    if (mark) say(`${mark.device}\n${describeEvent(mark)}\nat ${when(mark.day, mark.start)}`, px, py);
    else say(point ? `${point.track.device}\n${describe(point)}` : "", px, py);
    onPoint(point);
    return mark?.device ?? point?.track.device;
  }

  const fingers = new Map(); // pointer: its place
  let dragged = 0;
  svg.addEventListener("pointerdown", (event) => {
    if (!view || (event.pointerType === "touch" && !moved)) return;
    dragged = fingers.size ? Infinity : 0;
    fingers.set(event.pointerId, place(event));
  });
  svg.addEventListener("pointermove", (event) => {
    const was = fingers.get(event.pointerId), [px, py] = place(event);
    if (!was) return void look(event);
    const other = [...fingers].find(([pointer]) => pointer !== event.pointerId)?.[1];
    dragged += Math.hypot(px - was[0], py - was[1]);
    fingers.set(event.pointerId, [px, py]);
    if (other) zoom(Math.hypot(px - other[0], py - other[1]) / Math.max(Math.hypot(was[0] - other[0], was[1] - other[1]), 1), ...other);
    else if (dragged > 4) {
      svg.setPointerCapture(event.pointerId);
      svg.classList.add("moving");
      say("");
      pan(px - was[0], py - was[1]);
    }
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    svg.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      svg.classList.remove("moving");
      if (name === "pointerleave") { say(""); onPoint(null); }
    });
  }
  svg.addEventListener("click", (event) => {
    if (dragged > 4) return void (dragged = 0);
    const device = look(event);
    if (device !== undefined) onChoose(device);
  });
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), ...place(event));
  }, { passive: false });
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    if (steps[event.key]) pan(...steps[event.key]);
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => {
    width = svg.clientWidth;
    height = svg.clientHeight;
    if (!width) return;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`); // on paper it is scaled as a whole
    if (view && moved) redraw(); else fit();
  }).observe(svg);

  return {
    fit, zoom,
    show(now, keepView) {
      shown = now;
      if (keepView && view) redraw(); else fit();
    },
    time(t) { time = t; drawVehicles(); },
    cursor(point) { ring = point; drawCursor(); },
  };
}
