typedef struct {
  int rows, columns, splits;
} Shape;
