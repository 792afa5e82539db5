view: flights {
  sql_table_name: main.flights ;;

  dimension: carrier { description: "Code of the airline" }
  dimension: number { type: number sql: ${TABLE}.flight ;; description: "Flight number" }
  dimension: tail_number { sql: ${TABLE}.tailnum ;; description: "Registration of the plane" }
  dimension: origin { type: string sql: ${TABLE}.origin ;; description: "Airport of departure" }
  dimension: destination { type: string sql: ${TABLE}.dest ;; description: "Airport of arrival" }
  dimension: distance { type: number sql: ${TABLE}.distance ;; description: "Miles" }
  dimension: distance_tier {
    type: tier
    tiers: [500, 1000, 2000]
    style: integer
    sql: ${distance} ;;
    description: "Miles, in tiers"
  }
  dimension: air_time { type: number sql: ${TABLE}.air_time ;; description: "Minutes in the air" }
  dimension: departure_delay { type: number sql: ${TABLE}.dep_delay ;; description: "Minutes" }
  dimension: arrival_delay { type: number sql: ${TABLE}.arr_delay ;; description: "Minutes" }
  dimension: is_cancelled {
    type: yesno
    sql: ${TABLE}.dep_time is null ;;
    description: "Never departed"
  }
  dimension_group: departure {
    type: time
    timeframes: [time, hour, date, week, month, year]
    sql: ${TABLE}.departure ;;
    description: "Scheduled departure"
  }
  dimension_group: hour { timeframes: [raw] sql: ${TABLE}.time_hour ;; hidden: yes }

  measure: count { type: count description: "Number of flights" drill_fields: [carrier, number] }
  measure: destinations {
    type: count_distinct
    sql: ${destination} ;;
    description: "Airports served"
  }
  measure: total_distance { type: sum sql: ${distance} ;; description: "Miles flown" }
  measure: average_arrival_delay {
    type: average
    sql: ${arrival_delay} ;;
    description: "Minutes, on average"
    value_format_name: decimal_1
  }
  measure: shortest_distance { type: min sql: ${distance} ;; description: "Miles" }
  measure: longest_delay { type: max sql: ${arrival_delay} ;; description: "Minutes" }
  measure: carriers { type: list list_field: carrier description: "Airlines that flew" }
  measure: cancelled { type: count filters: [is_cancelled: "Yes"] hidden: yes }
  measure: cancelled_share {
    type: number
    sql: ${cancelled} / ${count} ;;
    description: "Share of flights that never departed"
  }
  measure: broken {
    type: sum
    sql: ${TABLE}.no_such_column ;;
    description: "Fails in the database"
  }
}
