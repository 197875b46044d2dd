// Where element (i, j) of a matrix lies in its buffer.

struct View2 {
    uint off, rs; // adjacent columns
};

struct View3 {
    uint off, rs, cs;
};

uint at(View2 v, uint i, uint j) {
    return v.off + i * v.rs + j;
}

uint at(View3 v, uint i, uint j) {
    return v.off + i * v.rs + j * v.cs;
}
