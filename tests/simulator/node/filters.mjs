// Reads [type, filter expression] pairs from standard input and writes for each whether Looker's own
// grammar of filters understands it.
import { readFileSync } from 'node:fs'
import filters from '@looker/filter-expressions'

const understood = (node) =>
  node.type === ',' ? understood(node.left) && understood(node.right) : node.type !== 'matchesAdvanced'

const pairs = JSON.parse(readFileSync(0, 'utf8'))
console.log(JSON.stringify(pairs.map(([type, text]) => understood(filters.parseFilterExpression(type, text)))))
