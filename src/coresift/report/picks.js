(function () {
  const block = document.getElementById("picks-data");
  const frame = document.getElementById("picks-frame");
  if (!block || !frame) return;
  const picks = JSON.parse(block.textContent), STEP = 25;
  const list = document.getElementById("picks-list");
  const query = document.getElementById("picks-query");
  const source = document.getElementById("picks-source");
  const order = document.getElementById("picks-order");
  const said = document.getElementById("picks-said");
  const more = document.getElementById("picks-more");
  let most = STEP;

  frame.hidden = false;

  // Text only ever enters the page as textContent: whatever a pool holds stays text.
  function add(parent, tag, text, name) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    parent.appendChild(element);
    return element;
  }

  function row(pick) {
    const item = document.createElement("details");
    item.dataset.screen = "";
    const head = add(item, "summary");
    add(head, "b", "weight " + pick.weight);
    add(head, "span", " · pick " + pick.pick + (pick.stands === null ? "" : " · nearest to " + pick.stands));
    if (pick.copies) add(head, "span", " · " + pick.copies + (pick.copies === 1 ? " copy" : " copies") + " in the pool");
    if (pick.source) { add(head, "span", " · "); add(head, "bdi", pick.source); }
    add(head, "span", pick.text.slice(0, 160) || "(no text)", "begin");
    add(item, "p", pick.text || "(no text)", "text");
    const id = add(item, "p", "id ", "small");
    add(id, "code", pick.id);
    if (pick.near.length) {
      add(item, "p", "Examples that have it as their nearest pick, the nearest first:", "small");
      pick.near.forEach(function (other) {
        const near = add(item, "p", other.text + " ", "text near");
        add(near, "code", other.id);
      });
    }
    return item;
  }

  function found() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = picks.filter(function (pick) {
      if (source.value !== "" && "=" + pick.source !== source.value) return false;
      const text = (pick.text + "\n" + pick.id + "\n" + pick.source).toLowerCase();
      return words.every(function (word) { return text.includes(word); });
    });
    const keys = { weight: "weight", stands: "stands", copies: "copies" };
    if (keys[order.value]) kept.sort(function (a, b) { return b[keys[order.value]] - a[keys[order.value]] || a.pick - b.pick; });
    return kept;
  }

  function show() {
    const kept = found();
    list.replaceChildren.apply(list, kept.slice(0, most).map(row));
    said.textContent = kept.length.toLocaleString("en") + " of " + picks.length.toLocaleString("en") + " picks" +
      (kept.length > most ? ", the first " + most + " shown" : "");
    more.hidden = kept.length <= most;
  }

  function again() { most = STEP; show(); }

  Array.from(new Set(picks.map(function (pick) { return pick.source; }))).filter(Boolean).sort().forEach(function (name) {
    add(source, "option", name).value = "=" + name;
  });
  source.parentElement.hidden = source.options.length < 3;
  query.addEventListener("input", again);
  source.addEventListener("change", again);
  order.addEventListener("change", again);
  more.addEventListener("click", function () { most += 4 * STEP; show(); });
  show();
})();
